import itertools

from labcore.measure import CONTROL
from labcore.show.palette import FOREIGN_STYLES, LANE_STYLES, PAPER, THEME, lane_styles


def luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_a_lane_looks_the_same_in_whatever_company():
    alone = lane_styles(["threads"])["threads"]
    assert lane_styles(["gateway", "virtual", "threads"])["threads"] == alone


def test_every_lane_has_a_colour_and_a_marker_of_its_own():
    styles = [*LANE_STYLES.values(), *FOREIGN_STYLES]
    assert len({style.color for style in styles}) == len(styles)
    assert len({style.marker for style in styles}) == len(styles)
    dashes = [style.dash for style in LANE_STYLES.values()]
    assert len(set(dashes)) == len(dashes)


def test_foreign_lanes_take_the_free_styles_in_order():
    styles = lane_styles(["reactive", "go", "rust", CONTROL, "go"])
    assert [styles["go"], styles["rust"]] == list(FOREIGN_STYLES[:2])


def test_lanes_stand_out_from_the_paper_in_light_and_dark():
    dark = dict(THEME)
    for style in LANE_STYLES.values():
        assert contrast(style.color, PAPER[0]) >= 3
        assert contrast(dark.get(style.color, style.color), PAPER[1]) >= 4.5


def test_every_tone_has_one_dark_twin():
    lights = [light for light, _ in THEME]
    assert len(set(lights)) == len(lights)
    assert all(one != other for one, other in itertools.chain(THEME))

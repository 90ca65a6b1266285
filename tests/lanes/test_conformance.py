from labcore.lanes import CheckResult, NotApplicableError, Site, conform

SITE = Site(url="http://127.0.0.1:1", peers={}, parameters={"stock": 50})


def sells_what_is_there(site: Site) -> None:
    """Exactly the stock is sold.

    More words that no table needs.
    """
    assert site.parameters["stock"] == 50


def sells_more(site: Site) -> None:
    """Never mind."""
    raise AssertionError("sold 51, expected 50")


def breaks(site: Site) -> None:
    """Never mind."""
    raise ConnectionResetError("reset by peer")


def restarts(site: Site) -> None:
    """A restart reconciles."""
    if site.restart is None:
        raise NotApplicableError("this service was not started by us")


def says_nothing(site: Site) -> None:
    assert not site.parameters


def facts(result: CheckResult) -> tuple[str, bool, bool, str]:
    return result.name, result.passed, result.applicable, result.detail.partition("\n")[0]


def test_every_check_runs_and_says_what_it_found():
    heard: list[CheckResult] = []
    checks = (sells_what_is_there, sells_more, breaks, restarts)
    results = conform(SITE, checks, on_result=heard.append)
    assert [facts(result) for result in results] == [
        ("sells_what_is_there", True, True, "Exactly the stock is sold."),
        ("sells_more", False, True, "sold 51, expected 50"),
        ("breaks", False, True, "ConnectionResetError: reset by peer"),
        ("restarts", False, False, "this service was not started by us"),
    ]
    assert heard == results
    assert all(result.seconds >= 0 for result in results)


def test_a_bare_assertion_still_has_a_detail():
    (result,) = conform(SITE, [says_nothing])
    assert result.detail
    assert not result.passed


def test_a_check_finds_the_service_where_the_one_before_left_it():
    seen = []

    def moves(site: Site) -> None:
        """It moves."""
        assert site.restart is not None
        seen.append((site.url, site.restart()))

    moving = Site(
        url="http://first", peers={}, parameters={}, restart=iter(["second", "third"]).__next__
    )
    results = conform(moving, [moves, moves])
    assert [result.passed for result in results] == [True, True]
    assert seen == [("http://first", "second"), ("second", "third")]

from labcore.learn.table import html_table, text_table


def test_columns_are_as_wide_as_they_need_to_be():
    assert text_table(("a", "long"), [("wide one", "1"), ("", "2")]).splitlines() == [
        "a         long",
        "wide one  1",
        "          2",
    ]


def test_cells_are_escaped():
    assert '<td style="text-align:left">&lt;b&gt;</td>' in html_table(("a",), [("<b>",)])

"""Which panes fit on a terminal of a size."""

WIDE = "wide"  # clusters, table and detail
DOUBLE = "double"  # the table over the detail
SINGLE = "single"  # one pane at a time
TINY = "tiny"  # a page that says so
LAYOUTS = (WIDE, DOUBLE, SINGLE, TINY)

LEAST = (60, 12)  # columns, rows
TALL = 24  # rows for two panes, one over the other


def layout(columns: int, rows: int) -> str:
    """The layout for a size."""
    if columns < LEAST[0] or rows < LEAST[1]:
        return TINY
    if columns < 80 or rows < TALL:
        return SINGLE
    return WIDE if columns >= 120 else DOUBLE

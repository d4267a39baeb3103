"""Names and what they mean, in two columns, as the help and the page of connections have them.  Nothing here draws."""

from jobmon_console.tui import texts

INDENT = 3  # cells before a name
BESIDE = 24  # cells that a meaning needs beside a name; with less it stands below

Span = tuple[str, str]


def entry(name: str, style: str, meaning: str, cells: int, width: int, where: str = "") -> list[list[Span]]:
    """The rows of a name: its meaning beside it, or below where there is no room, on as many rows as it takes.

    Args:
        name: of ``style``.
        meaning: broken between words.
        cells: for the name.
        width: cells of a row.
        where: the meaning holds; behind it, and never broken.
    """
    room, rows = width - cells - INDENT - 1, list[list[Span]]()
    if room < BESIDE:
        rows.append([(" " * INDENT + name, style)])
        name, cells = "", INDENT
        room = max(texts.LEAST, width - cells - INDENT - 1)
    lines = texts.wrap(meaning, room)
    if where and len(lines[-1]) + len(where) + 2 > room:
        lines.append("")
    for at, line in enumerate(lines):
        rows.append([(f"{' ' * INDENT}{'' if at else name:{cells}}", style), (line, "plain")])
    if where:
        rows[-1].append((("  " if lines[-1] else "") + where, "dim"))
    return rows

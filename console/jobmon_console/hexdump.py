"""Bytes that are no text, sixteen or eight to a line: offset, hexadecimal, and what of them is a character.

Nothing here draws; the lines hold printable ASCII only.
"""

WIDE, NARROW = 16, 8  # bytes a line
PROBE = 1024  # bytes looked at to tell a text from what is none
_LEAST_TEXT = 0.85  # share of printable characters in a text; UTF-8 and Latin-1 prose are above 0.9


def is_binary(data: bytes) -> bool:
    """Whether the beginning of a file looks like anything but text."""
    probe = data[:PROBE]
    if not probe:
        return False
    if b"\0" in probe:
        return True
    text = probe.decode("utf-8", "replace")
    printable = sum((c.isprintable() and c != "\ufffd") or c in "\t\n\r\f\x1b\b" for c in text)
    return printable < _LEAST_TEXT * len(text)


def lines(data: bytes, room: int) -> list[str]:
    """The dump of some bytes, as ``hexdump -C`` prints it; with half as many bytes a line where 16 have no room.

    Args:
        data: the bytes, from the file's beginning.
        room: cells of a line.
    """
    width = WIDE if room >= len(_line(0, b"", WIDE)) + WIDE else NARROW
    return [_line(at, data[at : at + width], width) for at in range(0, len(data), width)]


def _line(at: int, part: bytes, width: int) -> str:
    left, right = part[:NARROW].hex(" "), part[NARROW:].hex(" ")
    second = f" {right:<{3 * NARROW}}" if width == WIDE else ""
    characters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
    return f"{at:08x}  {left:<{3 * NARROW}}{second} |{characters}|"

"""Bytes that are no text, sixteen to a line: offset, hexadecimal, and what of them is a character.

Nothing here draws; the lines hold printable ASCII only.
"""

WIDTH = 16  # bytes a line
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


def lines(data: bytes) -> list[str]:
    """The dump of some bytes, as ``hexdump -C`` prints it."""
    return [_line(at, data[at : at + WIDTH]) for at in range(0, len(data), WIDTH)]


def _line(at: int, part: bytes) -> str:
    half = WIDTH // 2
    left, right = part[:half].hex(" "), part[half:].hex(" ")
    characters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
    return f"{at:08x}  {left:<{3 * half}} {right:<{3 * half}} |{characters}|"

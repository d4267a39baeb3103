"""Places in what a job prints, as a person names them: a share, bytes from the start, a time of day, an age.

Sizes and ages are written as in a selector.  There are no numbers of lines: to
know those, the whole file would have to be read.  Nothing here knows a file.
"""

import re
from typing import NamedTuple, TypeAlias

from jobmon_console.errors import UsageError
from jobmon_wire.moments import read_moment
from jobmon_wire.selectors import AGE, PERCENT, SIZE, SelectorError, read_value

DAY = 86400  # s
EXPECTED = "a share (45%), bytes from the start (12M), a time (14:02) or an age (-10m) was expected"
NO_SHARE = "a share from 0% to 100% was expected"
NO_TIME = "a time of day such as 14:02 or 14:02:30 was expected, in UTC"
NO_AGE = "an age such as -90s, -10m or -1h30m was expected"

_DIGITS = re.compile(r"[0-9]+")  # bytes to a single one; a size in a selector has fewer digits
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?Z?")


class Share(NamedTuple):
    """A share of the file's bytes."""

    percent: float  # 0 to 100

    def within(self, size: int) -> int:
        """Bytes from the start of a file of so many."""
        return min(size, int(size * self.percent / 100))


class Offset(NamedTuple):
    """Bytes from the start of the file."""

    bytes: int

    def within(self, size: int) -> int:
        """The same, whatever the file has."""
        return self.bytes


class Moment(NamedTuple):
    """When a line came."""

    at: float  # s since 1970


Spot: TypeAlias = Share | Offset


def read_place(text: str, now: float) -> Spot | Moment:
    """What a person means by ``45%``, ``12M``, ``14:02`` or ``-10m``.

    A time of day is in UTC, and of the last day on which it has been.

    Args:
        text: as typed.
        now: s since 1970.

    Raises:
        UsageError: it is none of these; its text says what was expected.
    """
    text = text.strip()
    if text.startswith("-"):
        return Moment(now - _number(AGE, text[1:], NO_AGE))
    if ":" in text:
        return Moment(_last(_second_of_day(text), now))
    if text.endswith("%"):
        percent = _number(PERCENT, text, NO_SHARE)
        if not 0 <= percent <= 100:
            raise UsageError(NO_SHARE)
        return Share(percent)
    return Offset(int(text) if _DIGITS.fullmatch(text) else int(_number(SIZE, text, EXPECTED)))


def _number(kind: str, text: str, expected: str) -> float:
    try:
        return read_value(kind, text, 0)[0]
    except SelectorError:
        raise UsageError(expected) from None


def _second_of_day(text: str) -> float:
    found = _TIME.fullmatch(text)
    if found is None:
        raise UsageError(NO_TIME)
    hour, minute, second = (int(part or 0) for part in found.groups())
    try:
        return read_moment(f"1970-01-01T{hour:02d}:{minute:02d}:{second:02d}")
    except ValueError:
        raise UsageError(NO_TIME) from None


def _last(second: float, now: float) -> float:
    """When the clock showed that last."""
    today = now // DAY * DAY + second
    return today if today <= now else today - DAY

"""Moments as RFC 3339 text in UTC, with milliseconds.

Inside the program a moment is seconds since 1970 as a float; this is the one
place where it becomes text or is read from it.
"""

import re
import time
from typing import Optional

_MOMENT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(\.[0-9]{1,9})?)?[Zz]?)?"
)


_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_EPOCH = 719162  # days from the first of January of year 1 to that of 1970


def write_moment(seconds: Optional[float]) -> Optional[str]:
    """``1732320744.5`` gives ``"2024-11-23T00:12:24.500Z"``; None stays None, and so is what no calendar has."""
    if seconds is None:
        return None
    try:
        whole, part = divmod(int(round(seconds * 1000)), 1000)
        fields = time.gmtime(whole)
    except (OverflowError, OSError, ValueError):  # too large for C, for a year, or no number at all
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%S", fields) + ".%03dZ" % part


def read_moment(text: str) -> float:
    """Seconds since 1970 of ``2026-11-23``, ``…T12:30`` or ``…T12:30:05.5Z``, all UTC.

    Raises:
        ValueError: no such moment.
    """
    found = _MOMENT.fullmatch(text)
    if not found:
        raise ValueError("not a moment: a date as 2026-11-23 or 2026-11-23T12:30:00Z was expected")
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    if not (1 <= month <= 12 and 1 <= day <= _days(year, month)):
        raise ValueError("no such day in the calendar")
    if hour > 23 or minute > 59 or second > 60:
        raise ValueError("no such time of day")
    before = year - 1
    days = 365 * before + before // 4 - before // 100 + before // 400 - _EPOCH + day - 1
    days += sum(_days(year, earlier) for earlier in range(1, month))
    return ((days * 24 + hour) * 60 + minute) * 60 + second + float(found.group(7) or 0)


def _days(year: int, month: int) -> int:
    """Days of a month."""
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return _DAYS[month - 1] + (month == 2 and is_leap)

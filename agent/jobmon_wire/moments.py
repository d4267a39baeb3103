"""Moments as RFC 3339 text in UTC, with milliseconds.

Inside the program a moment is seconds since 1970 as a float; this is the one
place where it becomes text or is read from it.
"""

import calendar
import re
import time
from typing import Optional

_MOMENT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(\.[0-9]{1,9})?)?[Zz]?)?"
)


def write_moment(seconds: Optional[float]) -> Optional[str]:
    """``1732320744.5`` gives ``"2024-11-23T00:12:24.500Z"``; None stays None."""
    if seconds is None:
        return None
    whole, part = divmod(int(round(seconds * 1000)), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + ".%03dZ" % part


def read_moment(text: str) -> float:
    """Seconds since 1970 of ``2026-11-23``, ``…T12:30`` or ``…T12:30:05.5Z``, all UTC.

    Raises:
        ValueError: no such moment.
    """
    found = _MOMENT.fullmatch(text)
    if not found:
        raise ValueError("not a moment: a date as 2026-11-23 or 2026-11-23T12:30:00Z was expected")
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    if not (1 <= month <= 12 and 1 <= day <= calendar.monthrange(max(year, 1), month)[1]):
        raise ValueError("no such day in the calendar")
    if hour > 23 or minute > 59 or second > 60:
        raise ValueError("no such time of day")
    return calendar.timegm((year, month, day, hour, minute, second)) + float(found.group(7) or 0)

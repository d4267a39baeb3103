"""Figures and moments as people read them: short, and ``-`` for unknown."""

import time
from typing import Any

from jobmon_wire.moments import read_moment

UNKNOWN = "-"
_DAY = 86400  # s


def size(count: Any) -> str:
    """Bytes: ``873``, ``4.0K``, ``1.3G``."""
    if not _is_number(count):
        return UNKNOWN
    value = float(count)
    for unit in ("", "K", "M", "G", "T"):
        if value < 1024 or unit == "T":
            break
        value /= 1024
    return f"{value:.0f}{unit}" if not unit or value >= 100 else f"{value:.1f}{unit}"


def span(seconds: Any) -> str:
    """A length of time: ``41s``, ``3m05s``, ``2h03m``, ``3d04h``."""
    if not _is_number(seconds):
        return UNKNOWN
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < _DAY:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // _DAY}d{whole % _DAY // 3600:02d}h"


def percent(value: Any) -> str:
    """``97`` or ``0.4``; of one core, so it may pass 100."""
    if not _is_number(value):
        return UNKNOWN
    return f"{value:.0f}" if value >= 10 or value == 0 else f"{value:.1f}"


def number(value: Any) -> str:
    """A count."""
    return f"{value:g}" if _is_number(value) else UNKNOWN


def seconds(moment: Any) -> float | None:
    """Seconds since 1970 of a moment in a record: RFC 3339 text or a number."""
    if _is_number(moment):
        return float(moment)
    try:
        return read_moment(moment) if isinstance(moment, str) else None
    except ValueError:
        return None


def clock(moment: Any, now: float) -> str:
    """Local time: ``14:02:44`` today, ``Nov 22 14:02`` before."""
    at = seconds(moment)
    if at is None:
        return UNKNOWN
    try:
        local, today = time.localtime(at), time.localtime(now)
    except (OverflowError, ValueError, OSError):
        return UNKNOWN
    if local[:3] == today[:3]:
        return time.strftime("%H:%M:%S", local)
    return time.strftime("%b %d %H:%M" if local[0] == today[0] else "%Y-%m-%d %H:%M", local)


def ago(moment: Any, now: float) -> str:
    """How long ago a moment was."""
    at = seconds(moment)
    return UNKNOWN if at is None else span(now - at)


def plural(count: int, noun: str) -> str:
    """``1 process``, ``3 processes``."""
    ending = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{count} {noun}{ending}"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value - value == 0

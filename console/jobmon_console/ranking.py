"""The order of a job's processes in `top`: asked of the agent, and made here where the agent is too old for that.

An agent sends at most 200 processes, the first in the order it was asked for.
What an older one leaves out, which knows one order alone, cannot be ordered
here: a large process that does nothing may be missing.  Nothing here draws.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from jobmon_console.errors import JobMonError, RefusedError
from jobmon_wire.verbs import ORDERS

USUAL = ORDERS[0]  # what every agent does unasked

Process = dict[str, Any]
_FIELDS = {"cpu": "cpu_percent", "memory": "rss", "time": "cpu_seconds"}
_TOO_OLD = ("unsupported", "bad-request")  # what an older agent, and an older server, say to an argument they lack


def asked(order: str) -> dict[str, str]:
    """The argument that asks for an order; none for the usual one, so that older ends refuse only what matters."""
    return {} if order == USUAL else {"sort": order}


def may_be_too_old(error: JobMonError | None) -> bool:
    """Asking without the order is worth a try."""
    return isinstance(error, RefusedError) and error.code in _TOO_OLD


def in_order(processes: Sequence[Process], order: str) -> list[Process]:
    """The processes, the largest first; what is not known comes last, and equal ones stay as they were."""
    field = _FIELDS[order]

    def key(process: Mapping[str, Any]) -> float:
        value = number(process.get(field))
        return math.inf if value is None else -value

    return sorted(processes, key=key)


def number(value: Any) -> float | None:
    """The finite number that an agent sent, if it is one."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None

"""Named views: selectors that are worth a name.

Some come with the console; a person's own are kept among her preferences.
"""

import re
from collections.abc import Mapping

from jobmon_console.errors import UsageError
from jobmon_wire.selectors import SelectorError, parse_selector

SHIPPED = {
    "mine": "owner:me",
    "failed today": "exit!=0 ended<1d",
    "stuck": "health:stuck",
    "big": "mem>16G",
    "silent": "state:silent,lost",
}
MOST = 50  # views of one's own
_NAME = re.compile(r"[^\W_][\w .-]{0,31}")


def check_view(name: str, selector: str, own: Mapping[str, str]) -> None:
    """Refuse what cannot be kept as a view.

    Raises:
        UsageError: the name is none, or the selector is wrong or empty, or there are too many.
    """
    if not _NAME.fullmatch(name):
        raise UsageError("a view's name has up to 32 letters, digits, spaces, dots or dashes")
    if name in SHIPPED:
        raise UsageError(f"{name} is a view that comes with the console; choose another name")
    if not selector.strip():
        raise UsageError("there is no filter to keep; type one with / first")
    if name not in own and len(own) >= MOST:
        raise UsageError(f"there are {MOST} views already; remove one first")
    try:
        parse_selector(selector)
    except SelectorError as error:
        raise UsageError(str(error)) from error

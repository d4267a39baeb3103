"""Which JobMon a server is: its version, the protocol it speaks, and whether this console may act through it.

Who speaks another protocol may mean something else by the same words: what it
shows is looked at, but nothing is asked of it that changes a job.  Nothing here
knows of a network or a screen.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from jobmon_console import __version__
from jobmon_console.safe import safe
from jobmon_wire import PROTOCOL

FIRST = 1  # the protocol of servers that do not name it: each later one does
LONGEST = 24  # characters of a version


class Release(NamedTuple):
    """A server as it told of itself."""

    version: str = ""  # safe; empty: not known
    protocol: int | None = PROTOCOL  # None: it named none that could be read

    @property
    def is_understood(self) -> bool:
        """Both mean the same by what they say."""
        return self.protocol == PROTOCOL

    @property
    def difference(self) -> str:
        """The two versions in a few words; empty where the protocol is the same."""
        return "" if self.is_understood else f"server {self.version or '?'}, console {__version__}"

    @property
    def remedy(self) -> str:
        """What to do about it, in a sentence; empty where the protocol is the same."""
        if self.is_understood:
            return ""
        old = "server" if self.protocol is not None and self.protocol < PROTOCOL else "console"
        return f"it speaks another protocol than this console {__version__}: update the {old} to act on its jobs"


def read_release(about: Mapping[str, Any]) -> Release:
    """Of a server's answer to ``whoami``."""
    protocol = about.get("protocol", FIRST)
    is_number = isinstance(protocol, int) and not isinstance(protocol, bool)
    return Release(safe(str(about.get("version") or ""))[:LONGEST], protocol if is_number else None)

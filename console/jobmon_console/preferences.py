"""How a person left the console: kept beside the configuration file, per set of contexts.

A file that cannot be read is left alone, and nothing is kept then: what a
person cannot see spoilt must not be overwritten.
"""

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from jobmon_console.contexts import config_path

FILE = "console.json"
LARGEST = 2**20  # bytes
HISTORY = 50  # filters remembered
_PRIVATE = 0o600  # names of jobs and owners stand in filters


class Preferences(NamedTuple):
    """How the console looks and what it shows; what is empty is the console's own choice."""

    filter: str = ""
    sort: str = ""
    is_reversed: bool = False
    grouping: tuple[str, ...] | None = None
    zoom: str = ""
    tab: str = ""
    theme: str = ""
    hidden: tuple[str, ...] = ()  # ids of columns
    views: dict[str, str] = {}  # name: selector  # noqa: RUF012 - never changed in place
    history: tuple[str, ...] = ()  # filters, newest first
    is_wrapped: bool = False
    has_helped: bool = False  # the first-run help was shown
    top_order: str = ""  # of the processes in Top


class Keeper:
    """Reads and writes the preferences of some contexts.

    Args:
        path: of the file.
        contexts: their names.

    Attributes:
        trouble: why nothing is kept; empty if all is well.
    """

    def __init__(self, path: Path, contexts: Sequence[str]) -> None:
        self._path = path
        self._key = "+".join(sorted(contexts))
        self.trouble = ""

    @classmethod
    def of(cls, environ: Mapping[str, str], contexts: Sequence[str]) -> "Keeper":
        """The one of a person's own file."""
        return cls(Path(config_path(environ)).with_name(FILE), contexts)

    def load(self) -> Preferences:
        """What was kept; the console's own choice where nothing was."""
        kept = self._read().get(self._key)
        return _checked(kept) if isinstance(kept, dict) else Preferences()

    def keep(self, preferences: Preferences) -> None:
        """Write them down; what other consoles wrote for other contexts stays."""
        everything = self._read()
        if self.trouble:
            return
        everything[self._key] = preferences._asdict()
        draft = self._path.with_name(f".{FILE}.{secrets.token_hex(8)}")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(everything, file, indent=1)
            os.replace(draft, self._path)
        except OSError as error:
            with suppress(OSError):
                draft.unlink()
            self.trouble = f"cannot write {self._path}: {error.strerror}"

    def _read(self) -> dict[str, Any]:
        try:
            if self._path.stat().st_size > LARGEST:
                raise ValueError("it is too large")
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            self.trouble = f"preferences are not kept: cannot read {self._path}: {why}"
            return {}
        if not isinstance(found, dict):
            self.trouble = f"preferences are not kept: {self._path} holds no JSON object"
            return {}
        return found


def _checked(kept: dict[str, Any]) -> Preferences:
    """What of a file is of the kind it should be: an older or newer console may have written it."""
    found: dict[str, Any] = Preferences()._asdict()
    for name, default in Preferences()._asdict().items():
        value = kept.get(name, default)
        if name in ("hidden", "history", "grouping"):
            if isinstance(value, list) and all(isinstance(each, str) for each in value):
                found[name] = tuple(value[:HISTORY])
        elif name == "views":
            if isinstance(value, dict):
                found[name] = {key: text for key, text in value.items() if isinstance(text, str)}
        elif type(value) is type(default):
            found[name] = value
    return Preferences(**found)

"""The verbs this agent knows: one function each, by name.

A verb is a generator over the job and its checked arguments.  It yields frames'
types and payloads, raises ``VerbFailure`` when it cannot be done, and may be
killed at any moment: it leaves nothing that would have to be put right.  One
that takes input also gets two pipes: where what is typed comes from, and where
what it yields goes.

Each is imported when it is asked for first: all of them take 10 ms of CPU, and
the first command after a wake-up waits for it.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, Mapping

    Functions = Mapping[str, Callable[..., Any]]
else:
    from collections.abc import Mapping as Functions

_MODULES = {
    "ps": "processes",
    "top": "top",
    "ls": "listing",
    "head": "files",
    "tail": "tail",
    "cat": "files",
    "kill": "signals",
    "stack": "stack",
    "dump": "dump",
    "node": "node",
    "shell": "shell",
}
_OF_EACH = ("head", "tail", "cat")  # for patterns, too


class _Known(Functions):
    """The functions by name."""

    def __init__(self) -> None:
        self._imported: "Dict[str, Callable[..., Any]]" = {}

    def __getitem__(self, name: str) -> "Callable[..., Any]":
        if name not in self._imported:
            function = getattr(__import__("jobmon_agent." + _MODULES[name], fromlist=[name]), name)
            if name in _OF_EACH:
                from jobmon_agent.files import of_each

                function = of_each(function)
            self._imported[name] = function
        return self._imported[name]

    def __iter__(self) -> "Iterator[str]":
        return iter(_MODULES)

    def __len__(self) -> int:
        return len(_MODULES)


VERBS = _Known()

"""What the screen shows, as a command line that says the same."""

import shlex
from collections.abc import Sequence

_VERBS = {"output": "tail -f", "top": "top", "tree": "ps", "files": "ls -l", "info": "show", "events": "log"}


def jobs(filter_: str, sort: str = "", typed: Sequence[str] = ()) -> str:
    """The list.

    Args:
        filter_: a selector, or empty.
        sort: for ``--sort``; empty: the command's own order.
        typed: what the console was told of contexts.
    """
    words = ["jobmon", "jobs", *typed, *(["--sort", sort] if sort else [])]
    return shlex.join([*words, *(["--"] if filter_.startswith("-") else []), *([filter_] if filter_ else [])])


def detail(tab: str, job: str, file: str = "", typed: Sequence[str] = ()) -> str:
    """A tab about one job; a file where the tab is about one.

    Args:
        tab: its id.
        job: an id.
        file: a path in the job's sandbox, or empty.
        typed: options, and what the console was told of contexts.
    """
    words = ["jobmon", *_VERBS[tab].split(), *typed, job]
    return shlex.join(words + ([file] if file else []))

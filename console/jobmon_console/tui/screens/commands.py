"""What the screen shows, as a command line that says the same."""

import shlex

_VERBS = {"output": "tail -f", "top": "top", "tree": "ps", "files": "ls -l", "info": "show", "events": "log"}


def jobs(filter_: str) -> str:
    """The list."""
    return "jobmon jobs" + (f" {shlex.quote(filter_)}" if filter_ else "")


def detail(tab: str, job: str, file: str = "") -> str:
    """A tab about one job; a file where the tab is about one."""
    words = ["jobmon", *_VERBS[tab].split(), shlex.quote(job)]
    return " ".join(words + ([shlex.quote(file)] if file else []))

"""How a job's state and a link's state are shown: glyph, word and the name of a style.

A state is never told by colour alone.  The styles are those of ``theme``;
nothing here draws.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from jobmon_console import link
from jobmon_console.safe import safe
from jobmon_console.tui import texts
from jobmon_wire import jobs


class Look(NamedTuple):
    """How something is shown."""

    glyph: str  # one cell wide in every terminal, never an emoji
    word: str
    style: str


_JOBS = {
    jobs.STARTING: Look("◌", "starting", "info"),
    jobs.RUNNING: Look("●", "running", "good"),
    jobs.SILENT: Look("◐", "silent", "warn"),
    jobs.LOST: Look("?", "lost", "bad"),
}

_LINKS = {
    link.CONNECTING: Look("◌", "connecting", "info"),
    link.SYNCING: Look("◌", "loading", "info"),
    link.LIVE: Look("●", "live", "good"),
    link.STALE: Look("◐", "stale", "warn"),
    link.RETRYING: Look("↻", "try", "warn"),
    link.REFUSED: Look("✕", "certificate", "bad"),
}


def job_look(row: Mapping[str, Any]) -> Look:
    """The state of a job, with how it ended."""
    state = str(row.get("state") or "")
    if state != jobs.ENDED:
        return _JOBS.get(state) or Look("·", safe(state) or "unknown", "dim")
    status = row.get("exit")
    how = safe(jobs.exit_text(status)) if isinstance(status, dict) else ""
    if how == "0":
        return Look("✓", "ended 0", "done")
    if not how or how == "unknown":
        return Look("✓", "ended ?", "dim")
    return Look("✗", "ended " + how, "bad")


def health_look(row: Mapping[str, Any]) -> Look:
    """The health of a job; an empty word where there is nothing to say."""
    health = safe(str(row.get("health") or ""))
    if health in ("", "ok") or row.get("state") == jobs.ENDED:
        return Look("", "", "dim")
    return Look("!", health, "warn")


def link_look(state: link.Link, now: float) -> Look:
    """The state of a connection, with what a person waits for."""
    look = _LINKS[state.check(now)]
    if state.state == link.RETRYING:
        wait = state.wait(now) or 0.0
        return look._replace(word=f"try {state.tries + 1}, next in {wait:.0f}s, R now")
    if state.state == link.STALE:
        return look._replace(word=f"stale {texts.short_span(state.silence(now))}")
    if state.state == link.REFUSED:
        return look._replace(word="certificate problem")
    return look

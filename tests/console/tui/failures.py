"""What can go wrong while a tab shows something: stages like those of ``stages``, and for the same golden files."""

from collections.abc import AsyncIterator
from typing import Any

from jobmon_console.errors import RefusedError, UnreachableError
from jobmon_wire.frames import Frame
from tests.console.tui.scenes import Scene


def output_lost(scene: Scene) -> None:
    """The agent of a job that was followed does not answer any more."""
    _shown_and_then(scene, "1", "step 39", "lost")
    scene.awaited = "the job is lost"


def top_lost(scene: Scene) -> None:
    """The same, when its processes were looked at."""
    _shown_and_then(scene, "2", "CPU 812%", "lost")
    scene.awaited = "the job is lost"


def tree_silent(scene: Scene) -> None:
    """The agent does not answer now."""
    _shown_and_then(scene, "3", "└─ ", "silent")
    why = "no word from the job's agent since 2026-11-23T02:12:40.000Z; ask again later"
    _fails_later(scene, RefusedError("job-silent", why, {}))
    scene.awaited = "as it was"


def files_ended(scene: Scene) -> None:
    """Nobody shows the sandbox of a job that has ended; the beginning of a file was seen."""
    scene.caf.entries = scene.caf.entries[1:]
    _shown_and_then(scene, "4", "▕ step 0 ", "ended")
    scene.awaited = "the job has ended"


def preview_refused(scene: Scene) -> None:
    """A file is not shown."""
    answer, why = scene.caf._answer, "only the owner may read this file, and it is not yours"

    async def refuse(verb: str, arguments: dict[str, Any]) -> AsyncIterator[Frame]:
        if verb == "head":
            raise RefusedError("not-permitted", why, {})
        async for frame in answer(verb, arguments):
            yield frame

    scene.is_detail, scene.caf._answer = True, refuse
    scene.caf.entries = scene.caf.entries[1:]
    scene.keys, scene.awaited = ["4"], "only the owner"


def info_unanswered(scene: Scene) -> None:
    """The server answers, the node does not."""
    _shown_and_then(scene, "5", "uuid-3", "silent")
    _fails_later(scene, RefusedError("agent-gone", "the job's agent went away before the answer was complete", {}))
    scene.awaited = "as it was"


def events_cut_off(scene: Scene) -> None:
    """The server does not answer any more."""
    _shown_and_then(scene, "6", "registered on", "silent")
    change = scene.at_last

    def fail() -> None:
        scene.caf.trouble = UnreachableError("nobody listens on caf:8443; is the server up?")
        change()

    scene.at_last, scene.awaited = fail, "as it was"


def _shown_and_then(scene: Scene, tab: str, seen: str, state: str) -> None:
    """A tab shows the job; a while later its state is another."""
    status = {"code": 0, "signal": None} if state == "ended" else None
    scene.is_detail, scene.keys, scene.first = True, [tab], seen
    scene.at_last = lambda: scene.caf.change(scene.record(3, state=state, exit=status))
    scene.later = 9.0


def _fails_later(scene: Scene, error: RefusedError) -> None:
    """From then on the agent's answers are refusals."""
    change = scene.at_last

    async def refuse(verb: str, arguments: dict[str, Any]) -> AsyncIterator[Frame]:
        raise error
        yield

    def fail() -> None:
        scene.caf._answer = refuse
        change()

    scene.at_last = fail


FAILURES = [output_lost, top_lost, tree_silent, files_ended, preview_refused, info_unanswered, events_cut_off]

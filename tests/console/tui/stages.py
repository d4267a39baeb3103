"""What can be on the screen: each stage sets a scene up with one state of the console.

A stage's name is its golden file's.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from textual._context import active_app

from jobmon_console.errors import CredentialRefusedError, RefusedError, UnreachableError
from jobmon_console.tui.app import Console
from jobmon_console.tui.panes.top import GATHER
from jobmon_wire.documents import write_document
from jobmon_wire.frames import CHANNEL, DATA, NOTE, Frame
from tests.console.tui.failures import FAILURES
from tests.console.tui.scenes import Scene


def connecting(scene: Scene) -> None:
    """No word from the server yet."""

    async def wait(call: Any) -> Any:
        await asyncio.Event().wait()

    scene.has_jobs, scene.caf.fetch = False, wait
    scene.awaited = "caf: connecting"


def live(scene: Scene) -> None:
    """Jobs, and the output of one."""
    scene.is_detail = True
    scene.awaited = "step 39"


def loading(scene: Scene) -> None:
    """The list is not complete."""
    scene.has_jobs = False
    scene.caf.is_slow, scene.caf.jobs = True, {}
    scene.awaited = "loading"


def stale(scene: Scene) -> None:
    """No word for a while."""
    scene.later = 12.0


def retrying(scene: Scene) -> None:
    """The server is away; its jobs stay."""
    why = UnreachableError("nobody listens on caf:8443; is the server up?")
    scene.then = lambda: scene.caf.breaks(why, for_good=True)
    scene.awaited = "next in"


def partial(scene: Scene) -> None:
    """One of two servers is away."""
    scene.contexts.append(("cern", scene.cern))
    scene.cern.trouble = UnreachableError("no route to cern")
    scene.awaited = "↻ try"


def two_contexts(scene: Scene) -> None:
    """Both answer."""
    scene.contexts.append(("cern", scene.cern))
    scene.awaited = "8 jobs"


def certificate(scene: Scene) -> None:
    """The credential is not taken."""
    scene.has_jobs = False
    scene.caf.trouble = CredentialRefusedError("the server does not take this credential: it has expired; renew it")
    scene.awaited = "certificate problem"


def nothing_registered(scene: Scene) -> None:
    """The first day."""
    scene.has_jobs = False
    scene.caf.jobs = {}
    scene.awaited = "No job is registered"


def nothing_matches(scene: Scene) -> None:
    """A filter that is too narrow."""
    scene.has_jobs = False
    scene.select, scene.awaited = "state:running node:wn9", "Nothing matches"


def wrong_filter(scene: Scene) -> None:
    """A filter with a mistake."""
    scene.keys, scene.awaited = ["slash", *"state:runing"], "^ state is one of"


def filtering(scene: Scene) -> None:
    """A filter is about to be typed."""
    scene.keys, scene.awaited = ["slash"], "Tab completes"


def completing(scene: Scene) -> None:
    """A filter being typed."""
    scene.keys, scene.awaited = ["slash", *"node:w"], "Tab takes the first"


def read_only(scene: Scene) -> None:
    """Nothing may act."""
    scene.read_only = True


def not_permitted(scene: Scene) -> None:
    """The agent or the server says no."""
    scene.is_detail = True

    async def refuse(verb: str, arguments: dict[str, Any]) -> Any:
        raise RefusedError("not-permitted", "only the owner may read its files", {})
        yield

    scene.caf._answer = refuse
    scene.awaited = "only the owner may"


def notes(scene: Scene) -> None:
    """What happened to the stream."""
    scene.is_detail = True
    scene.caf.notes = [{"kind": "rotated"}, {"kind": "truncated"}, {"kind": "skipped", "bytes": 1 << 20}]
    scene.awaited = "were skipped"


def array(scene: Scene) -> None:
    """A job array, folded."""
    scene.caf.jobs = {
        f"uuid-{at}": scene.record(at, node="wn1", name="sweep", batch={"array": f"77_{at}"}) for at in range(6)
    }
    scene.awaited = "77 [6]"


def states(scene: Scene) -> None:
    """Every state a job can be in."""
    kinds = {"starting": None, "running": None, "silent": None, "lost": None}
    rows = [scene.record(at, node="wn1", state=state, exit=status) for at, (state, status) in enumerate(kinds.items())]
    for at, status in enumerate(
        [{"code": 0, "signal": None}, {"code": 3, "signal": None}, {"code": None, "signal": "KILL"}, None], len(rows)
    ):
        rows.append(scene.record(at, node="wn1", state="ended", ended="2026-11-23T01:00:00.000Z", exit=status))
    rows.append(scene.record(9, node="wn1", health="stuck", health_reason="no output for 30 min"))
    scene.caf.jobs = {row["uuid"]: row for row in rows}
    scene.awaited = "9 jobs"


def kill(scene: Scene) -> None:
    """The dialog before a signal."""
    scene.keys, scene.awaited = ["x"], "Send a signal to"


def kill_many(scene: Scene) -> None:
    """More than a handful: the number is typed."""
    scene.keys, scene.awaited = ["A", "x"], "to confirm"


def helping(scene: Scene) -> None:
    """The keys."""
    scene.keys, scene.awaited = ["question_mark"], "Keys"


def found(scene: Scene) -> None:
    """A text found in the output."""
    scene.keys, scene.awaited = ["enter", "slash", *"step 3", "enter"], ": step 3"


def wrong_place(scene: Scene) -> None:
    """What is no place of the output is told below its field."""
    scene.keys, scene.awaited = ["enter", "ctrl+g", *"25:00", "enter"], "14:02:30 was expected"


def nodes(scene: Scene) -> None:
    """The page of nodes."""
    scene.keys, scene.awaited = ["f2"], "HEARD"


def connections(scene: Scene) -> None:
    """The page of connections."""
    scene.keys, scene.awaited = ["f4"], "Connections"


def top(scene: Scene) -> None:
    """Processes."""
    scene.is_detail = True
    scene.keys, scene.awaited = ["2"], "CPU 812%"


def files(scene: Scene) -> None:
    """The sandbox."""
    scene.is_detail = True
    scene.keys, scene.awaited = ["4"], "out.log"


def info(scene: Scene) -> None:
    """Everything known."""
    scene.is_detail = True
    scene.keys, scene.awaited = ["5", "z"], "progress"


def cut_off(scene: Scene) -> None:
    """A signal is to be sent, and nobody is there to take it."""
    scene.then = lambda: scene.caf.breaks(UnreachableError("no route to caf"), for_good=True)
    scene.keys, scene.awaited = ["x"], "nothing can be sent"


def kill_refused(scene: Scene) -> None:
    """What became of two signals: one was refused, one left something."""
    scene.caf.kill_answers = {
        "uuid-3": RefusedError("not-permitted", "only the owner may send a signal to this job", {}),
        "uuid-6": {"signal": "TERM", "sent": [7, 8, 9], "killed": [8, 9], "left": [9]},
    }
    scene.keys, scene.awaited = ["space", "space", "x", "tab", "enter"], "2 of 2 answered"


def killed(scene: Scene) -> None:
    """The notice of an outcome that came when its dialog was closed."""
    answer, gate = scene.caf._answer, asyncio.Event()

    async def late(verb: str, arguments: dict[str, Any]) -> AsyncIterator[Frame]:
        if verb == "kill":
            await gate.wait()
        async for frame in answer(verb, arguments):
            yield frame

    scene.caf._answer = late
    scene.keys, scene.at_last = ["x", "tab", "enter", "escape"], gate.set
    scene.awaited = "8812-0003: TERM to 2"


def read_only_kill(scene: Scene) -> None:
    """Nothing is sent to a job."""
    scene.read_only, scene.keys = True, ["x"]
    scene.awaited = "nothing is sent"


def other_protocol(scene: Scene) -> None:
    """The server is newer than the console understands; a job was to be ended."""
    scene.caf.release = {"version": "2.0.0", "protocol": 2}
    scene.keys = ["x"]
    scene.awaited = "Server of another protocol"


def other_connections(scene: Scene) -> None:
    """The same, on the page of connections: what to do about it."""
    other_protocol(scene)
    scene.keys, scene.awaited = ["f4"], "speaks another"


def sorting(scene: Scene) -> None:
    """A menu."""
    scene.keys, scene.awaited = ["s"], "Sort by"


def saving(scene: Scene) -> None:
    """The question where to save the output."""
    scene.keys, scene.awaited = ["S"], "Enter saves"


def activity(scene: Scene) -> None:
    """The page of what was done."""
    kill = {"who": "/DC=org/OU=People/CN=eve", "verb": "kill", "id": "8812-0002", "arguments": {"signal": "KILL"}}
    scene.caf.audit = [
        {
            "at": 1.7953e9,
            "who": "/CN=alice",
            "verb": "tail",
            "id": "8812-0001",
            "decision": "allowed",
            "outcome": "done",
        },
        {"at": 1.7954e9, "decision": "refused", "outcome": "not-permitted"} | kill,
    ]
    scene.keys, scene.awaited = ["f3"], "eve"


def tree(scene: Scene) -> None:
    """Processes under their parents."""
    scene.is_detail = True
    scene.keys, scene.awaited = ["3"], "└─ "


def folded(scene: Scene) -> None:
    """Some of them folded away, under the cursor."""
    scene.is_detail = True
    found = [
        (1, "bash job.sh"),
        (100, "make -j4"),
        (101, "/usr/lib/gcc/cc1 main.c"),
        (101, "/usr/bin/as"),
        (100, "tee"),
    ]
    scene.caf.processes = [
        {"pid": 100 + at, "ppid": parent, "state": "S", "user": "alice", "command": command, "started": 1.0}
        | {"rss": (at + 1) * 2**28, "cpu_seconds": 1000.0 * at, "is_job": at == 0}
        for at, (parent, command) in enumerate(found)
    ]
    scene.keys, scene.first, scene.awaited = ["3", "tab"], "└─ ", "▸ +2 make"

    def fold() -> None:
        console = active_app.get()
        assert isinstance(console, Console)
        for id_ in ("down", "fold_process"):
            console.jobs.action_do(id_)

    scene.at_last = fold


def kill_process(scene: Scene) -> None:
    """The dialog for one process of a job."""
    scene.is_detail = True
    scene.keys, scene.first, scene.awaited = ["3", "tab"], "└─ ", "process 100 alone"
    scene.at_last = lambda: active_app.get().screen.action_do("kill_process")


def ordered(scene: Scene) -> None:
    """Processes by their memory, seldom sampled, of an agent that is too old for that."""
    scene.is_detail = True
    asked = scene.caf._answer

    async def older(verb: str, arguments: dict[str, Any]) -> AsyncIterator[Frame]:
        if "sort" in arguments:
            raise RefusedError("unsupported", "the job's agent is older than this command's option 'sort'")
        async for frame in asked(verb, arguments):
            yield frame

    scene.caf._answer = older
    scene.keys, scene.first, scene.later = ["2", "tab", "M", "minus"], "M memory", GATHER
    scene.awaited = "is too old"


def events(scene: Scene) -> None:
    """What happened to a job."""
    kinds = ("registered", "progress", "request", "silent", "lost", "limit", "batch", "ended")
    scene.is_detail = True
    scene.caf.events = [
        {"seq": at, "at": 1.795392e9 + 60 * at, "kind": kind, "text": f"{kind} on wn000"}
        for at, kind in enumerate(kinds)
    ]
    scene.keys, scene.awaited = ["6"], "ended on wn000"


def broken_stream(scene: Scene) -> None:
    """What was missed, and the end."""
    notes: list[dict[str, Any]] = [
        {"kind": "gap", "files": 3}, {"kind": "gap"}, {"kind": "unlinked"}, {"kind": "hole", "bytes": 4096},
        {"kind": "ended", "exit": {"code": None, "signal": "KILL", "core": True}},
    ]  # fmt: skip

    async def answer(verb: str, arguments: dict[str, Any]) -> AsyncIterator[Frame]:
        yield Frame(DATA, CHANNEL, scene.caf.output)
        for note in notes:
            yield Frame(NOTE, CHANNEL, write_document(note))

    scene.is_detail, scene.caf._answer = True, answer
    scene.awaited = "core dumped"


def kept(scene: Scene) -> None:
    """The last output of a job that has ended."""
    scene.is_detail = True
    scene.caf.jobs = {"uuid-3": scene.record(3, state="ended", exit={"code": 0, "signal": None})}
    scene.awaited = "were not kept"


def lost(scene: Scene) -> None:
    """A job whose agent does not answer any more."""
    scene.is_detail = True
    scene.caf.jobs = {"uuid-3": scene.record(3, state="lost")}
    scene.awaited = "the job is lost"


def nothing_printed(scene: Scene) -> None:
    """The job has printed nothing yet."""
    scene.is_detail, scene.caf.output = True, b""
    scene.awaited = "nothing in stdout yet"


def not_there(scene: Scene) -> None:
    """A file that is followed before it exists."""
    scene.is_detail, scene.caf.output = True, b""
    scene.caf.notes = [{"kind": "waiting"}]
    scene.awaited = "it is not there yet"


def binary(scene: Scene) -> None:
    """A file that is no text."""
    scene.is_detail = True
    scene.caf.output, scene.caf.entries = bytes(range(256)), [dict(scene.caf.entries[1], name="model.bin")]
    scene.keys, scene.awaited = ["4"], "no text"


def coloured(scene: Scene) -> None:
    """Colours that the job prints."""
    scene.is_detail = True
    colours = b"".join(b"\x1b[%dmcolour %d\x1b[0m  \x1b[1;%dmbold\x1b[0m\n" % (at, at, at) for at in range(30, 38))
    scene.caf.output = colours + b"plain\n"
    scene.awaited = "plain"


STAGES = [
    connecting, live, loading, stale, retrying, partial, two_contexts, certificate, nothing_registered,
    nothing_matches, wrong_filter, filtering, completing, read_only, not_permitted, notes, array, states, kill,
    kill_many, helping, found, wrong_place, nodes, connections, top, files, info, cut_off, kill_refused, killed,
    read_only_kill, sorting, other_protocol, other_connections, saving, activity, tree, folded, ordered,
    kill_process, events, broken_stream, kept, lost, nothing_printed, not_there, binary, coloured, *FAILURES,
]  # fmt: skip

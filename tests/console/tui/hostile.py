"""A server whose every text is an attack: each begins with its own brand, so that a screen shows which it holds.

``evil("name")`` as it came would be ``ESC ] name``, the beginning of a command
to the terminal; a screen that made it safe shows ``␛]name``.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from jobmon_console.replies import Kept
from jobmon_wire import PROTOCOL
from jobmon_wire.frames import DATA, NOTE, RECORD, Frame
from tests.console.tui.conftest import FakeSource, frame, record

CORPUS = (
    "\x1b]52;c;Y3VybCBldmlsfHNo\x07",  # sets the clipboard
    "\x1b]0;owned\x07\x1b[2J\x1b[31m",  # renames the window, clears it
    "\x1bP$q\x1b\\\x1b_x\x1b\\\x1b[?1000h\x1b[5n",  # DCS, APC, mouse on, an answer asked for
    "\x9b31m\x9d0;x\x9c",  # the same in C1
    "\u202egnp.exe\u2066\u200f",  # turns the direction of text
    "[@click=app.quit]x[/]",  # Textual's markup: an action on a click
    "x[/y] a[]b[/]",  # and a broken one
    "\udc80lone\r\n\t\0\x7f\b\b",  # a byte that is no UTF-8, controls
    "数据e\u0301\u0e01\u0e31",  # two cells a character, and none
    "[bold",  # unterminated
)
LURE = "[@click=app.quit]"  # shown as it is, wherever there is room for it


def evil(brand: str) -> str:
    """A text that would take the terminal."""
    return f"\x1b]{brand}\x07" + " ".join(CORPUS)


def seen(brand: str) -> str:
    """What of it a screen shows."""
    return f"␛]{brand}"


def leaked(brand: str) -> str:
    """What of it a terminal would obey."""
    return f"\x1b]{brand}"


def evil_name(brand: str) -> str:
    """The same as the name of a file: it may hold all but these two."""
    return evil(brand).replace("/", "").replace("\0", "")


def evil_bytes(brand: str) -> bytes:
    """The same as a job writes it, bytes that are no UTF-8 included: over another that went back to its beginning."""
    text = evil(brand).replace("\n", "")
    return (text + "\r" + text.replace("\r", "")).encode("utf-8", "surrogateescape") + b"\xff\xfe\n"


_OF_A_JOB = ("id", "owner", "cluster", "node", "name", "command", "progress", "health", "reason")


def evil_record(number: int = 1, **fields: Any) -> dict[str, Any]:
    """A job whose every text is an attack."""
    texts = {name: evil(name) for name in _OF_A_JOB}
    tags = {evil("tag"): evil("label")}
    return record(number, **texts, owner_name=evil("person"), health_reason=evil("why"), tags=tags, **fields)


def brief(job: dict[str, Any]) -> dict[str, Any]:
    """The job with texts short enough to stand beside each other."""
    return {name: value[:12] if isinstance(value, str) and "\x1b" in value else value for name, value in job.items()}


class HostileSource(FakeSource):
    """Every answer of every kind."""

    def __init__(self) -> None:
        super().__init__([evil_record()])
        self.is_heard = True
        self.output = b"y" * 100_000 + b"\n" + evil_bytes("stdout")
        self.notes = [{"kind": evil("note")}, {"kind": "refused", "message": evil("refusal")}]
        process = {name: evil("p" + name) for name in ("name", "command", "user", "state")}
        self.processes = [process | {"pid": evil("pid"), "ppid": evil("ppid"), "threads": evil("thr"), "is_job": True}]
        entry = {"modified": 1.7e9, "size": evil("size")}
        self.entries = [
            entry | {"name": evil_name("file"), "kind": "file", "target": evil_name("target")},
            entry | {"name": evil_name("dir"), "kind": "directory", "target": None},
            entry | {"name": evil_name("other"), "kind": evil("kind"), "target": None},
        ]
        self.events = [{"seq": 1, "at": evil("at"), "kind": evil("event"), "text": evil("text")}]
        words = ("who", "verb", "id", "outcome")
        self.audit = [
            {word: evil(word)[:12] for word in words}
            | {"at": 1.7e9, "decision": evil("verdict"), "arguments": {evil("key")[:12]: evil("value")}}
        ]
        self.details = {
            "end": {"survivors": evil("survivors")},
            "registration": {evil("fact"): {evil("inner"): [evil("part")]}},
        }
        self.kill_answer = {"signal": evil("signal"), "sent": [1], "killed": [], "left": []}
        self.content_of_a_file = evil_bytes("content").replace(b"\0", b"")
        self.who = {"name": evil("me"), "owner": evil("owner"), "role": evil("role"), "clusters": [], "cluster": "caf"}
        self.who |= {"version": evil("version"), "protocol": PROTOCOL}

    async def fetch(self, call: Any) -> Any:
        answer = await super().fetch(call)
        return self.who if call.path == "/v1/whoami" else answer

    async def content(self, call: Any) -> Kept:
        return Kept(evil_bytes("kept"), 100, 111)

    async def _answer(self, verb: str, arguments: dict[str, Any]) -> AsyncIterator[Frame]:
        if verb == "top":
            counts = {"processes": evil("count"), "threads": evil("threads"), "memory_limit": evil("limit")}
            yield frame(RECORD, {
                "at": 1.7e9, "job": counts, "node": {"load": [evil("load")], "cpus": evil("cpus")},
                "processes": self.processes,
            })  # fmt: skip
            await asyncio.Event().wait()
        elif verb == "node":
            yield frame(RECORD, {evil("hardware"): evil("kernel")})
        elif verb in ("head", "cat"):
            yield frame(DATA, self.content_of_a_file)
        elif verb == "ls":
            yield frame(RECORD, {"path": evil("path"), "entries": self.entries})
            yield frame(NOTE, {"kind": "more", "entries": 5})
        else:
            async for one in super()._answer(verb, arguments):
                yield one

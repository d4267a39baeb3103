"""The Files tab is where one left it: on its directory, its file, and that file's beginning, whatever changes there."""

import posixpath
from typing import Any

import pytest

from jobmon_console.errors import CutOffError, JobMonError, RefusedError
from jobmon_console.tui.panes.pane import ASK_AGAIN
from jobmon_wire.frames import RECORD
from tests.console.tui.conftest import frame
from tests.console.tui.walk import MOVES, Answer, Walk, drawn, page, room

WALKS = ((3, 300), (5, 40), (6, 100))  # seed and steps: each walk comes by what the others pass over
NAMES = [f"f{number:02}" for number in range(60)]
DIRECTORIES = ("a", "m", "z")  # before, between and behind the files
UP = ".."


class Sandbox:
    """The directories of one job: names by path."""

    def __init__(self, job: str, chance: Any) -> None:
        self.job, self.chance = job, chance
        self.are_emptied = False  # half of the files
        self.names: dict[str, set[str]] = {".": set()}
        for path in (".", "a", "m", "a/m"):
            self.names[path] = {*chance.sample(NAMES, chance.choice([3, 50, 50])), *DIRECTORIES}

    def entries(self, path: str) -> list[dict[str, Any]]:
        """As an agent lists them."""
        kinds = {name: "directory" if name in DIRECTORIES else "file" for name in self.names[path]}
        return [{"name": name, "kind": kinds[name], "size": 9, "modified": 1.7e9} for name in sorted(kinds)]

    def change(self, path: str) -> None:
        """Files come and go; a directory may vanish, or come back."""
        names = self.names.setdefault(path, set(DIRECTORIES))
        names ^= set(self.chance.sample(NAMES, self.chance.choice([1, 2, 20])))
        if path != "." and self.chance.random() < 0.15:
            del self.names[path]

    def content(self, file: str) -> bytes | JobMonError:
        """The beginning of a file: it names itself."""
        if file.endswith("7"):
            return RefusedError("not-permitted", "this file is not shown")
        is_empty = file.endswith("0") or (self.are_emptied and file[-1] in "12346")
        return b"" if is_empty else f"{self.job} {file}\nsecond\n".encode()


class Model:
    """What a person may believe of the list: where it is, what it shows, and which entry the cursor is on."""

    def __init__(self, job: str) -> None:
        self.path = "."
        self.rows: list[str] = []
        self.on = ""  # name of the entry under the cursor
        self.row = 0  # where that is
        self.top = 0  # the first row that is seen
        self.back = ""  # the directory that one came out of, until it is listed or the cursor moved
        self.coming: list[str] | None = None
        self.grows = False  # what comes is shown at once

    def begin(self) -> None:
        """The directory is asked for."""
        self.coming = [] if self.path == "." else [UP]
        self.grows = self.rows in ([], self.coming)

    def hear(self, names: list[str]) -> None:
        """A part of the listing."""
        assert self.coming is not None
        self.coming += names
        if self.grows:
            self.show(self.coming)

    def end(self, has_broken_off: bool) -> None:
        """All are listed; or it broke off, and what is shown stays."""
        if self.grows or not has_broken_off:
            self.show(self.coming or [])
        self.back = self.back if has_broken_off else ""
        self.coming = None

    def show(self, rows: list[str]) -> None:
        """Other rows: the cursor stays on its entry, and that where it is on the screen."""
        line, self.rows = self.row - self.top, list(rows)
        wanted = self.back if self.back in rows else self.on
        self.row = rows.index(wanted) if wanted in rows else max(0, min(self.row, len(rows) - 1))
        self.on = rows[self.row] if rows else ""
        self.back = "" if self.back in rows else self.back
        self.top = self.row - line if self.top else 0

    def move(self, key: str, page: int) -> None:
        """A key that moves the cursor."""
        steps = {"up": -1, "down": 1, "pageup": -page, "pagedown": page, "home": -(10**6), "end": 10**6}
        row = max(0, min(self.row + steps[key], len(self.rows) - 1))
        self.back = self.back if row == self.row else ""
        self.row, self.on = row, self.rows[row] if self.rows else ""

    def enter(self, name: str) -> None:
        """Another directory."""
        self.back = posixpath.basename(self.path) if name == UP else ""
        self.path = posixpath.normpath(posixpath.join(self.path, name))
        self.rows, self.on, self.row, self.top, self.coming = [], "", 0, 0, None

    def see(self, height: int) -> None:
        """No more is scrolled than needed to see the cursor, and to fill the screen."""
        self.top = max(0, min(self.top, len(self.rows) - height))
        self.top = max(self.row - height + 1, min(self.top, self.row))


class FilesWalk(Walk):
    """A walk over the Files tab."""

    def __init__(self, seed: int) -> None:
        super().__init__("4", "ls", seed, Model)
        self.boxes = {job: Sandbox(job, self.chance) for job in self.server.jobs}
        self.server.contents = lambda job, file: self.boxes[job].content(file)
        self.heard: Answer | None = None  # the answer that the model knows of

    @property
    def files(self) -> Any:
        return self.detail.files

    async def step(self) -> None:
        """One thing that may happen."""
        kinds = {self.answer: 9, self.key: 6, self.change: 4, self.enter: 1, self.up: 1, self.again: 2, self.away: 1}
        kinds |= {self.other: 0.4, self.resize: 1, self.open: 0.5}
        await self.chance.choices(list(kinds), list(kinds.values()))[0]()

    def follow(self) -> None:
        """Let the model know of another job, and of a request that began."""
        super().follow()
        answer = self.under_way()
        if answer is not None and answer is not self.heard:
            self.heard = answer
            assert answer.arguments["path"] == self.model.path
            self.model.begin()

    async def answer(self) -> None:
        """The agent goes on: a part, the end, a refusal, or a connection that breaks."""
        answer, box = self.under_way(), self.boxes[self.job]
        self.done.append("answer")
        if answer is None:
            await self.settle(ASK_AGAIN)
        elif answer.arguments["path"] not in box.names:
            answer.end(RefusedError("no-such-file", "it is gone"))
            self.model.end(has_broken_off=False)
        elif not answer.has_begun:
            found = box.entries(answer.arguments["path"])
            cuts = sorted(self.chance.choices(range(len(found) + 1), k=2)) if self.chance.random() < 0.5 else []
            answer.has_begun = True
            answer.parts = [found[a:b] for a, b in zip([0, *cuts], [*cuts, len(found)], strict=True)]
            self.tell(answer)
        elif self.chance.random() < 0.15:
            answer.end(CutOffError("the server broke off its answer"))
            self.model.end(has_broken_off=True)
        else:
            self.tell(answer)
        await self.settle()

    def tell(self, answer: Answer) -> None:
        """One part; behind the last, the end."""
        part = answer.parts.pop(0)
        answer.tell(frame(RECORD, {"entries": part}))
        self.model.hear([entry["name"] for entry in part])
        if not answer.parts:
            answer.end()
            self.model.end(has_broken_off=False)

    async def key(self) -> None:
        """The cursor moves."""
        key = self.chance.choice(MOVES)
        self.model.move(key, page(self.files.list))
        await self.press(key)

    async def change(self) -> None:
        """The directory is another; one sees it when it is listed again."""
        self.done.append("change")
        self.boxes[self.job].change(self.model.path)

    async def enter(self) -> None:
        """Into the directory under the cursor."""
        if self.model.on in (*DIRECTORIES, UP):
            self.model.enter(self.model.on)
            await self.press("enter")

    async def up(self) -> None:
        """Out of this directory."""
        if self.model.path != ".":
            self.model.enter(UP)
        await self.press("backspace")

    async def again(self) -> None:
        """Ask again; what is shown stays until the answer is whole."""
        self.boxes[self.job].are_emptied = self.chance.random() < 0.5
        await self.press("R")

    async def away(self) -> None:
        """Another tab, and back."""
        await self.leave()

    async def open(self) -> None:
        """A file in the Output tab, and back."""
        if self.model.on in NAMES:
            await self.press("enter")
            await self.press(self.tab)

    async def other(self) -> None:
        """Another job."""
        await self.other_job()

    def claim(self) -> None:
        """The tab is as the model says."""
        listing, preview, model = self.files.list, self.files.preview, self.model
        model.see(room(listing))
        assert listing.path == model.path
        assert [entry["name"] for entry in listing._entries] == model.rows
        assert (listing.cursor, listing.chosen.get("name", "")) == (model.row, model.on)
        assert listing.scroll_offset.y == model.top
        seen = model.rows[model.top :][: room(listing)]
        assert [row.split()[0].rstrip("/") for row in drawn(listing)[: len(seen)]] == seen or not seen
        file = posixpath.join(model.path, model.on) if model.on in NAMES else ""
        assert preview.file == posixpath.normpath(file or ".").removeprefix(".")
        self.claim_preview(preview, posixpath.normpath(file) if file else "")

    def claim_preview(self, preview: Any, file: str) -> None:
        """The file's beginning, once; or why not."""
        content = self.boxes[self.job].content(file) if file else b""
        if isinstance(content, JobMonError):
            assert preview.problem == str(content)
            assert preview.count() == 0
        else:
            assert [row.data for row in preview._buffer.rows] == content.splitlines()


@pytest.mark.parametrize(("seed", "steps"), WALKS)
async def test_files_cursor_and_preview_stay_together_whatever_happens_to_the_directory(seed: int, steps: int) -> None:
    walk = FilesWalk(seed)

    await walk.run(steps, walk.step, walk.claim)

"""The Tree tab shows each process once under its parent, and stays at the processes one looks at."""

from typing import Any, NamedTuple

from jobmon_console.errors import CutOffError, RefusedError
from jobmon_console.tui.app import Console
from jobmon_console.tui.panes.pane import ASK_AGAIN
from jobmon_console.tui.panes.tree import AGAIN
from jobmon_wire.frames import RECORD
from tests.console.tui.conftest import frame
from tests.console.tui.walk import MOVES, Answer, Walk, Window, drawn, page, room

STEPS = 300
FIRST = 1000  # the lowest pid; what is below is not of the job
COMMAND = 41  # the column in which branches and commands begin


class Process(NamedTuple):
    """One process, as the agent knows it; a pid may come again."""

    pid: int
    parent: int
    started: float


class Family:
    """The processes of a job."""

    def __init__(self, chance: Any) -> None:
        self.chance, self.clock = chance, 0.0
        self.living: dict[int, Process] = {FIRST: Process(FIRST, 1, 0.0)}
        for _ in range(chance.choice([0, 5, 60])):
            self.fork()

    def fork(self) -> None:
        """A child of any; its pid may be lower than its parent's, or one that was used before."""
        free = sorted(set(range(FIRST, FIRST + 90)) - set(self.living))
        parents = sorted(self.living) or [1]
        if free:
            self.clock += 1.0
            pid = self.chance.choice(free)
            self.living[pid] = Process(pid, self.chance.choice(parents), self.clock)

    def end(self) -> None:
        """Any ends; its children are taken in by a process outside the job, or by another of it."""
        if self.living:
            gone = self.living.pop(self.chance.choice(sorted(self.living))).pid
            new = self.chance.choice([1, 1, *sorted(self.living)])
            for pid, each in self.living.items():
                if each.parent == gone:
                    self.living[pid] = each._replace(parent=1 if new == pid or self._is_below(new, pid) else new)

    def _is_below(self, pid: int, ancestor: int) -> bool:
        while pid in self.living and pid != ancestor:
            pid = self.living[pid].parent
        return pid == ancestor

    def processes(self) -> list[Process]:
        """In the order they began."""
        return sorted(self.living.values(), key=lambda process: (process.started, process.pid))


def tree(processes: list[Process]) -> list[tuple[Process, str]]:
    """What is to be drawn, the plain way: a process, and the line that it makes."""
    known = {process.pid for process in processes}

    def below(parent: int | None, stem: str) -> list[tuple[Process, str]]:
        children = [p for p in processes if (p.parent == parent if parent is not None else p.parent not in known)]
        rows = []
        for child in sorted(children):
            is_last = child.pid == max(children).pid
            branch = "" if parent is None else "└─ " if is_last else "├─ "
            under = "" if parent is None else "   " if is_last else "│  "
            rows += [(child, f"{stem}{branch}run {child.pid}"), *below(child.pid, stem + under)]
        return rows

    return below(None, "")


class Model(Window):
    """What a person may believe: the tree that came last whole, and the place in it."""

    def __init__(self, job: str) -> None:
        super().__init__()
        self.rows: list[tuple[Process, str]] = []

    def show(self, processes: list[Process]) -> None:
        """A new tree: the first process seen that still lives stays where it is on the screen."""
        old, self.rows = [process for process, _ in self.rows], tree(processes)
        living = [process for process, _ in self.rows]
        names = [(process.pid, process.started) for process in living]
        if self.top:
            for line, process in enumerate(old[self.top :]):
                if (process.pid, process.started) in names:
                    self.top = names.index((process.pid, process.started)) - line
                    break


class TreeWalk(Walk):
    """A walk over the Tree tab."""

    def __init__(self, seed: int) -> None:
        super().__init__("3", "ps", seed, Model)
        self.families = {job: Family(self.chance) for job in self.server.jobs}
        self.listed: list[Process] = []  # what the answer under way is about

    @property
    def family(self) -> Family:
        return self.families[self.job]

    async def step(self) -> None:
        """One thing that may happen."""
        kinds = {self.answer: 8, self.key: 5, self.fork: 4, self.end: 3, self.again: 1, self.leave: 0.7}
        kinds |= {self.other_job: 0.5, self.resize: 0.5}
        await self.chance.choices(list(kinds), list(kinds.values()))[0]()

    async def answer(self) -> None:
        """The agent goes on: a part, the end, a refusal, or a connection that breaks."""
        answer = self.under_way()
        self.done.append("answer")
        if answer is None:
            await self.settle(self.chance.choice([1.0, ASK_AGAIN, AGAIN]))
            return
        if not answer.has_begun:
            found, cut = self.family.processes(), self.chance.randrange(40)
            answer.has_begun, self.listed, answer.parts = True, found, [found[:cut], found[cut:]]
        elif self.chance.random() < 0.2:
            broken = self.chance.choice([CutOffError("broken off"), RefusedError("not-permitted", "not for you")])
            answer.end(broken)
        if answer.is_open:
            self.tell(answer)
        await self.settle()

    def tell(self, answer: Answer) -> None:
        """One part; the model hears of the whole alone."""
        answer.tell(frame(RECORD, {"processes": [self.record(process) for process in answer.parts.pop(0)]}))
        if not answer.parts:
            answer.end()
            self.model.show(self.listed)

    def record(self, process: Process) -> dict[str, Any]:
        """As the wire has it."""
        return {
            "pid": process.pid,
            "ppid": process.parent,
            "started": process.started,
            "state": "S",
            "user": "alice",
            "command": f"run {process.pid}",
        }

    async def key(self) -> None:
        """The list is scrolled."""
        key = self.chance.choice(MOVES)
        self.model.move(key, page(self.detail.processes))
        await self.press(key)

    async def fork(self) -> None:
        """Processes come."""
        for _ in range(self.chance.choice([1, 3, 30])):
            self.family.fork()

    async def end(self) -> None:
        """Processes end."""
        for _ in range(self.chance.choice([1, 3, 30])):
            self.family.end()

    async def again(self) -> None:
        """Ask again; what is shown stays until the answer is whole."""
        await self.press("R")

    def claim(self) -> None:
        """The tab is as the model says."""
        pane, model = self.detail.processes, self.model
        model.fit(len(model.rows), room(pane))
        assert pane.count() == len(model.rows)
        assert pane.scroll_offset.y == model.top
        seen = model.rows[model.top :][: room(pane)]
        lines = [f"{p.pid:8} {text[: pane.size.width - COMMAND].rstrip()}" for p, text in seen]
        assert [f"{row[:8]} {row[COMMAND:]}" for row in drawn(pane)[: len(seen)]] == lines or not seen


async def test_the_tree_is_whole_and_stands_still_while_processes_come_and_go() -> None:
    walk = TreeWalk(seed=3)

    await walk.run(STEPS, walk.step, walk.claim)


async def test_where_a_command_does_not_fit_its_program_s_directory_gives_way(
    console: Console, source: Any, settle: Any, screen_text: Any
) -> None:
    row = {"pid": 7, "ppid": 1, "user": "alice", "command": "/a/very/long/way/to/the/program/of/them/python3 work.py 8"}
    source.processes = [row]
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("3")
        await settle(pilot, lambda: "…/python3 work.py 8" in screen_text(console))
        await pilot.resize_terminal(160, 40)

        await settle(pilot, lambda: "/of/them/python3 work.py 8" in screen_text(console))

"""The Tree tab shows each process once under its parent; cursor and folds are held by process."""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest

from jobmon_console.appearance import Appearance
from jobmon_console.errors import CutOffError, RefusedError
from jobmon_console.tui.app import Console
from jobmon_console.tui.panes.pane import ASK_AGAIN
from jobmon_console.tui.panes.tree import AGAIN, ROOMY, Tree
from jobmon_wire.frames import RECORD
from tests.console.tui.conftest import frame
from tests.console.tui.walk import MOVES, Answer, Walk, drawn, page, room

WALKS = ((3, 300), (5, 100))  # seed and steps
FIRST = 1000  # the lowest pid; what is below is not of the job
COMMAND = 56  # the column in which branches and commands begin
NARROW = 36  # the same where what is below a process has no columns


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


Name = tuple[int, float]


class Model:
    """What a person may believe: the tree that came last whole, what of it is folded, and where the cursor is."""

    def __init__(self, job: str) -> None:
        self.whole: list[tuple[Process, str]] = []
        self.folded: set[Name] = set()
        self.rows: list[tuple[Process, str]] = []
        self.row = 0  # where the cursor is
        self.top = 0  # the first row that is seen

    def show(self, processes: list[Process]) -> None:
        """A new tree, or other folds: the cursor stays on its process, or goes to the nearest; so does the eye."""
        old, line, is_at_home = self.rows, self.row - self.top, self.row == self.top == 0
        self.whole = tree(processes)
        living = {process.pid: process for process, _ in self.whole}
        self.folded &= {name(process) for process in living.values()}
        self.rows = [(process, text) for process, text in self.whole if self.shown(process, living) is process]
        seen = [name(process) for process, _ in self.rows]
        for at in sorted(range(len(old)), key=lambda at: (abs(at - self.row), -at)):
            process = living.get(old[at][0].pid)
            if process is not None and name(process) == name(old[at][0]):
                line += at - self.row
                self.row = seen.index(name(self.shown(process, living)))
                break
        else:
            self.row = 0
        self.top = 0 if is_at_home else max(0, self.row - line)

    def shown(self, process: Process, living: dict[int, Process]) -> Process:
        """The process, or the outermost it is folded into."""
        found = process
        while process.parent in living:
            process = living[process.parent]
            found = process if name(process) in self.folded else found
        return found

    def fold(self) -> None:
        """What is below the cursor's process, if anything is."""
        if self.rows and self.below():
            self.folded ^= {name(self.rows[self.row][0])}
            self.show([process for process, _ in self.whole])

    def below(self, at: int | None = None) -> int:
        """Processes below the one of a row."""
        pid, found = self.rows[self.row if at is None else at][0].pid, 0
        parents = [pid]
        while parents:
            children = [process.pid for process, _ in self.whole if process.parent in parents]
            parents, found = children, found + len(children)
        return found

    def text(self, at: int) -> str:
        """What is drawn of the row: its branches, how much it hides, its command."""
        process, text = self.rows[at]
        mark = f"▸ +{self.below(at)} " if name(process) in self.folded and self.below(at) else ""
        return text.replace("run", mark + "run")

    def move(self, key: str, page: int) -> None:
        """A key that moves the cursor."""
        steps = {"up": -1, "down": 1, "pageup": -page, "pagedown": page, "home": -(10**6), "end": 10**6}
        self.row = max(0, min(self.row + steps[key], len(self.rows) - 1))

    def see(self, height: int) -> None:
        """No more is scrolled than needed to see the cursor, and to fill the screen."""
        self.top = max(0, min(self.top, len(self.rows) - height))
        self.top = max(self.row - height + 1, min(self.top, self.row))


def name(process: Process) -> Name:
    """What a process is held by: its number may come again."""
    return process.pid, process.started


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
        kinds = {self.answer: 8, self.key: 6, self.fold: 3, self.fork: 4, self.end: 3, self.again: 1, self.leave: 0.7}
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
        """The cursor moves."""
        key = self.chance.choice(MOVES)
        self.model.move(key, page(self.detail.processes))
        await self.press(key)

    async def fold(self) -> None:
        """What is below the cursor's process is folded away, or comes back."""
        self.model.fold()
        await self.press("enter")

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
        model.see(room(pane))
        assert pane.count() == len(model.rows)
        assert (pane.cursor, pane.scroll_offset.y) == (model.row, model.top)
        chosen = pane.chosen
        assert (chosen is None) == (not model.rows)
        assert chosen is None or chosen.process["pid"] == model.rows[model.row][0].pid
        command = COMMAND if pane.size.width >= ROOMY else NARROW
        shown = range(model.top, min(len(model.rows), model.top + room(pane)))
        lines = [f"{model.rows[at][0].pid:7} {model.text(at)[: pane.size.width - command].rstrip()}" for at in shown]
        assert [f"{row[:7]} {row[command:]}" for row in drawn(pane)[: len(shown)]] == lines or not shown


@pytest.mark.parametrize(("seed", "steps"), WALKS)
async def test_cursor_and_folds_stay_at_their_processes_while_others_come_and_go(seed: int, steps: int) -> None:
    walk = TreeWalk(seed)

    await walk.run(steps, walk.step, walk.claim)


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


def family(*rows: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Processes: pid, parent, bytes, s."""
    fields = ("pid", "ppid", "rss", "cpu_seconds")
    return [dict(zip(fields, row, strict=True), started=1.0, command=f"run {row[0]}") for row in rows]


async def open_tree(console: Console, pilot: Any, settle: Any) -> Tree:
    """The first job's processes, the keys in their list."""
    await settle(pilot, lambda: console.jobs.target)
    await pilot.press("3", "tab")
    await settle(pilot, lambda: console.jobs.detail.processes.count())
    return console.jobs.detail.processes


def cells(pane: Tree) -> list[list[str]]:
    return [row.split() for row in drawn(pane) if row]


@pytest.mark.parametrize("keys", [("e", "e"), ("enter", "enter"), ("e", "enter")])
async def test_e_and_enter_fold_and_unfold_what_is_below_with_its_sums_and_its_number(
    console: Console, source: Any, settle: Any, keys: tuple[str, str]
) -> None:
    source.processes = family((1, 0, 2**30, 60), (2, 1, 2**30, 60), (3, 2, 2**30, 60), (4, 1, 2**20, 1))
    async with console.run_test(size=(140, 40)) as pilot:
        pane = await open_tree(console, pilot, settle)
        before = cells(pane)
        assert before[0] == ["1", "1.0G", "00:01:00", "3.0G", "00:03:01", "run", "1"]
        assert before[2] == ["3", "1.0G", "00:01:00", "│", "└─", "run", "3"], "of a leaf there is no sum"

        await pilot.press("down", keys[0])
        assert cells(pane)[1] == ["2", "2.0G", "00:02:00", "2.0G", "00:02:00", "├─", "▸", "+1", "run", "2"]
        assert [row[0] for row in cells(pane)] == ["1", "2", "4"]

        await pilot.press(keys[1])
        assert cells(pane) == before


async def test_folds_and_cursor_survive_a_new_list_and_a_number_given_again_is_another(
    console: Console, source: Any, settle: Any
) -> None:
    source.processes = family((1, 0, 1, 1), (2, 1, 1, 1), (3, 2, 1, 1), (4, 1, 1, 1), (5, 4, 1, 1))
    async with console.run_test(size=(140, 40)) as pilot:
        pane = await open_tree(console, pilot, settle)
        await pilot.press("down", "e", "down", "e")
        assert [row[0] for row in cells(pane)] == ["1", "2", "4"]

        source.processes = [*family((6, 2, 1, 1), (7, 1, 1, 1)), *source.processes]
        source.processes = [p | {"started": 9.0} if p["pid"] == 4 else p for p in source.processes]
        await pilot.press("R")
        await settle(pilot, lambda: pane.count() == 5)

        assert [row[0] for row in cells(pane)] == ["1", "2", "4", "5", "7"]
        assert "+2" in cells(pane)[1]
        assert pane.cursor == 1, "on the nearest that is left of those there were"


async def on_the_last_row(console: Console, pilot: Any, settle: Any) -> tuple[Tree, str]:
    """The cursor is on the last row that is seen, of more: the pane, and that row."""
    pane = await open_tree(console, pilot, settle)
    await pilot.press("pagedown", "pagedown")
    last = drawn(pane)[-1]
    assert int(last.split()[0]) == pane.cursor + 1 < pane.count()
    return pane, last


async def test_a_scroll_bar_that_comes_later_than_its_rows_does_not_hide_the_cursor(
    console: Console, source: Any, settle: Any
) -> None:
    source.processes = family(*((pid, 0, 1, 1) for pid in range(1, 61)))
    async with console.run_test(size=(140, 40)) as pilot:
        pane, last = await on_the_last_row(console, pilot, settle)
        pane.show_horizontal_scrollbar = True  # as a layout says that came after the rows

        assert drawn(pane)[-1] == last

        pane.show_horizontal_scrollbar = False
        pane.scroll_to(y=0, animate=False)  # as the mouse does
        pane.show_horizontal_scrollbar = True
        assert pane.scroll_offset.y == 0, "where somebody has scrolled away from it, it stays so"


async def test_a_command_that_is_too_long_brings_a_scroll_bar_that_does_not_hide_the_cursor(
    console: Console, source: Any, settle: Any
) -> None:
    source.processes = family(*((pid, 0, 1, 1) for pid in range(1, 61)))
    async with console.run_test(size=(140, 40)) as pilot:
        pane, last = await on_the_last_row(console, pilot, settle)
        source.processes[0] |= {"command": "run " + "long " * 40}
        await pilot.press("R")
        await settle(pilot, lambda: pane.show_horizontal_scrollbar)

        assert drawn(pane)[-1] == last


async def test_a_click_puts_the_cursor_there_and_a_second_folds(console: Console, source: Any, settle: Any) -> None:
    source.processes = family((1, 0, 1, 1), (2, 1, 1, 1), (3, 2, 1, 1))
    async with console.run_test(size=(140, 40)) as pilot:
        pane = await open_tree(console, pilot, settle)
        await pilot.click("#tree", offset=(30, 2))
        assert (pane.cursor, pane.count()) == (1, 3)

        await pilot.click("#tree", offset=(30, 1), times=2)
        await settle(pilot, lambda: (pane.cursor, pane.count()) == (0, 1))


async def test_y_copies_the_pid_where_the_keys_are_the_trees_and_the_jobs_id_elsewhere(
    console: Console, settle: Any
) -> None:
    async with console.run_test(size=(140, 40)) as pilot:
        await open_tree(console, pilot, settle)
        await pilot.press("down", "y")
        assert console.clipboard == "101"
        await pilot.press("Y")
        assert console.clipboard.startswith("jobmon ps 8812-")
        await pilot.press("escape", "y")
        assert console.clipboard.startswith("8812-")


async def test_of_a_process_with_none_below_it_is_said_that_there_is_nothing_to_fold(
    console: Console, settle: Any
) -> None:
    async with console.run_test(size=(140, 40)) as pilot:
        pane = await open_tree(console, pilot, settle)
        await pilot.press("end", "e")

        await settle(pilot, lambda: any("nothing to fold" in each.message for each in console._notifications))
        assert pane.count() == 3


async def test_the_wheel_leads_away_from_the_cursor_and_a_new_list_does_not_lead_back(
    console: Console, source: Any, settle: Any
) -> None:
    source.processes = family((1, 0, 1, 1), *((at, 1, 1, 1) for at in range(100, 200)))
    async with console.run_test(size=(140, 40)) as pilot:
        pane = await open_tree(console, pilot, settle)
        pane.scroll_to(y=50, animate=False)
        first = drawn(pane)[0]

        source.processes = source.processes + family((50, 1, 1, 1))
        await pilot.press("R")
        await settle(pilot, lambda: pane.count() == 102)

        assert drawn(pane)[0] == first
        assert pane.cursor == 0


async def test_a_list_without_any_process_is_no_end_of_the_console(console: Console, source: Any, settle: Any) -> None:
    async with console.run_test(size=(140, 40)) as pilot:
        pane = await open_tree(console, pilot, settle)
        source.processes = []
        await pilot.press("R")
        await settle(pilot, lambda: pane.count() == 0)
        await pilot.press("e", "enter", "down", "y")

        assert pane.chosen is None


async def test_what_is_folded_is_marked_in_ascii_too(source: Any, settle: Any, screen_text: Any) -> None:
    console = Console([("caf", source)], look=Appearance(is_ascii=True))
    async with console.run_test(size=(80, 24)) as pilot:
        await open_tree(console, pilot, settle)
        await pilot.press("e")

        await settle(pilot, lambda: "+ +2 bash job.sh" in screen_text(console))


async def test_numbers_that_are_none_are_shown_as_unknown(console: Console, source: Any, settle: Any) -> None:
    infinite = float("inf")
    source.processes = family((1, 0, "2", infinite), (2, 1, None, 7), (3, 1, [1], {}), ([4], [1], True, -infinite))
    source.frames = _plain(source)
    async with console.run_test(size=(140, 40)) as pilot:
        pane = await open_tree(console, pilot, settle)

        assert sorted(cells(pane)) == [
            ["1", "-", "-", "-", "00:00:07", "run", "1"],
            ["2", "-", "00:00:07", "├─", "run", "2"],
            ["3", "-", "-", "└─", "run", "3"],
            ["[4]", "-", "-", "run", "[4]"],
        ]


class _Said:
    """A frame whose document is one that JSON as we write it cannot hold, but a peer's can."""

    type = RECORD

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def document(self) -> dict[str, Any]:
        return self._document


def _plain(source: Any) -> Any:
    async def frames(call: Any) -> AsyncIterator[Any]:
        yield _Said({"processes": source.processes})

    return frames

"""In Tree one process gets a signal, by its number and its start, and the whole job never does in its place."""

from typing import Any

import pytest

from jobmon_console.errors import RefusedError
from jobmon_console.tui.app import Console


def kills(source: Any) -> list[dict[str, Any]]:
    """The arguments of every signal that was asked for."""
    return [arguments for verb, arguments in source.asked if verb == "kill"]


def processes(**others: Any) -> list[dict[str, Any]]:
    """A job's own process, and two below it."""
    rows = [(100, 1, "bash job.sh"), (101, 100, "./worker 1"), (102, 100, "./worker 2")]
    return [
        {"pid": pid, "ppid": parent, "state": "S", "user": "alice", "command": command, "started": float(pid)}
        | {"started_exactly": f"{pid}:dfe873ac", "is_job": pid == 100}
        | others
        for pid, parent, command in rows
    ]


def is_told(console: Console, text: str) -> bool:
    """A notice has it, which stands on no line of the screen's."""
    return any(text in notice.message for notice in console._notifications)


async def at_the_tree(console: Console, pilot: Any, settle: Any, screen_text: Any, *keys: str) -> None:
    await settle(pilot, lambda: console.jobs.target)
    await pilot.press("3", "tab", *keys)
    await settle(pilot, lambda: "worker 2" in screen_text(console))


async def test_the_process_under_the_cursor_alone_gets_the_signal_and_is_named_before(
    console: Console, source: Any, settle: Any, screen_text: Any
) -> None:
    source.processes = processes()
    source.kill_answer = {"signal": "TERM", "sent": [101], "killed": [], "left": []}
    async with console.run_test(size=(120, 40)) as pilot:
        await at_the_tree(console, pilot, settle, screen_text)
        await pilot.press("down", "X")
        await settle(pilot, lambda: "Send a signal to process 101 alone" in screen_text(console))
        assert "process 101 of alice: ./worker 1" in screen_text(console)
        assert "TERM asks it to end; KILL follows after 10 s" in screen_text(console)
        assert console.focused is not None
        assert console.focused.id == "cancel"
        source.processes = processes(started_exactly="1:dfe873ac")  # what comes later is not what was asked about
        console.jobs.detail.renew()
        await pilot.click("#send")
        await settle(pilot, lambda: "TERM to 1 process" in screen_text(console))

        (asked,) = kills(source)
        assert (asked["signal"], asked["pid"], asked["started"]) == ("TERM", 101, "101:dfe873ac")


async def test_the_jobs_own_process_is_called_that(
    console: Console, source: Any, settle: Any, screen_text: Any
) -> None:
    source.processes = processes()
    async with console.run_test(size=(120, 40)) as pilot:
        await at_the_tree(console, pilot, settle, screen_text)
        await pilot.press("home", "X")
        await settle(pilot, lambda: "process 100 of alice, the job's own process: bash job.sh" in screen_text(console))
        await pilot.press("escape", "x")
        await settle(pilot, lambda: "Send a signal to 1 job" in screen_text(console))

        assert "TERM asks the job to end" in screen_text(console)


@pytest.mark.parametrize("is_asked", [False, True])
async def test_an_agent_too_old_for_it_is_never_asked_for_the_whole_job(
    console: Console, source: Any, settle: Any, screen_text: Any, is_asked: bool
) -> None:
    source.processes = processes() if is_asked else processes(started_exactly=None)
    source.kill_answer = RefusedError("unsupported", "the agent is older than option 'pid'; ask without it", {})
    async with console.run_test(size=(120, 40)) as pilot:
        await at_the_tree(console, pilot, settle, screen_text)
        await pilot.press("X")
        if is_asked:
            await settle(pilot, lambda: console.screen.query("#send"))
            await pilot.click("#send")
        old = "the job's agent is too old to signal one process alone"
        await settle(pilot, lambda: old in screen_text(console) or is_told(console, old))

        assert "ask without it" not in screen_text(console)
        assert [arguments.get("pid") for arguments in kills(source)] == [100] * is_asked


async def test_where_nothing_may_be_sent_it_is_said_and_nothing_is(source: Any, settle: Any, screen_text: Any) -> None:
    source.processes = processes()
    console = Console([("caf", source)], read_only=True)
    async with console.run_test(size=(120, 40)) as pilot:
        await at_the_tree(console, pilot, settle, screen_text)
        await pilot.press("X")
        await settle(pilot, lambda: is_told(console, "read-only: nothing is sent to a job"))
    assert kills(source) == []


async def test_the_process_of_a_job_that_has_ended_meanwhile_gets_nothing(
    console: Console, source: Any, make_record: Any, settle: Any, screen_text: Any
) -> None:
    source.processes = processes()
    source.jobs = {"uuid-1": make_record(1)}
    async with console.run_test(size=(120, 40)) as pilot:
        await at_the_tree(console, pilot, settle, screen_text)
        source.change(make_record(1, state="ended", exit={"code": 0, "signal": None, "source": "wrap"}))
        await settle(pilot, lambda: "ended 0" in screen_text(console))
        await pilot.press("X")
        await settle(pilot, lambda: is_told(console, "nobody is there to take a signal"))

        assert not console.screen.query("#send")


async def test_of_another_owners_job_the_number_is_typed_and_what_the_process_is_called_acts_on_nothing(
    console: Console, source: Any, make_record: Any, settle: Any, screen_text: Any
) -> None:
    hostile = "\x1b]52;c;ZXZpbA==\x07[@click=app.quit]x[/]\u202e"
    source.processes = processes(user=hostile, command=f"worker 2 {hostile}")
    source.jobs = {"uuid-1": make_record(1, owner="bob", owner_name="/CN=bob")}
    async with console.run_test(size=(160, 40)) as pilot:
        await at_the_tree(console, pilot, settle, screen_text)
        await pilot.press("X")
        await settle(pilot, lambda: "it is another owner's job: type 1 to confirm" in screen_text(console))

        assert "[@click=app.quit]x[/]" in screen_text(console)
        assert not {"\x1b", "\x07", "\u202e"} & set(screen_text(console))
        assert console.screen.query_one("#send").disabled
        await pilot.press("1", "enter", "enter")
        await settle(pilot, lambda: kills(source))

"""A feed that lost its connection is told what has changed since, and holds what the server holds."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest

from jobmon_console.errors import CutOffError
from jobmon_console.tui.app import Console
from jobmon_console.tui.feed import MANY, Feed

PATIENCE = 60.0  # s; each whole snapshot has the collector look at all that the tests before left


class Script:
    """A server that says prepared lines, one list a connection, and then breaks off."""

    def __init__(self, *connections: list[dict[str, Any]]) -> None:
        self.connections = list(connections)
        self.me = "alice"
        self.resumed: list[str] = []

    async def fetch(self, call: Any) -> Any:
        return {"name": self.me, "role": "owner"}

    async def rows(self, call: Any) -> AsyncIterator[dict[str, Any]]:
        self.resumed.append(call.query.get("resume", ""))
        if not self.connections:
            await asyncio.Event().wait()
        for line in self.connections.pop(0):
            yield line
        raise CutOffError("broke off")

    def renew(self) -> None:
        """Nothing to renew."""

    async def aclose(self) -> None:
        """Nothing to close."""


def jobs(*uuids: str, **facts: Any) -> dict[str, Any]:
    return {"kind": "jobs", "jobs": [{"uuid": uuid, "id": uuid} for uuid in uuids], **facts}


async def told(script: Script, connections: int) -> Feed:
    """A feed that has heard it all."""
    feed = Feed("caf", script, asyncio.get_running_loop().time, lambda: 0.0)  # type: ignore[arg-type]
    running = asyncio.create_task(feed.run())
    async with asyncio.timeout(PATIENCE):
        while len(script.resumed) <= connections:
            feed.retry()
            await asyncio.sleep(0.005)
    running.cancel()
    await asyncio.wait([running])
    while feed.is_behind:
        feed.drain()
    feed.settle()
    return feed


async def test_a_feed_goes_on_where_its_last_complete_line_was() -> None:
    sync = {"kind": "sync", "epoch": "e", "total": 3, "counts": {"state": {"running": 3}}}
    script = Script(
        [sync, jobs("a", "b")],  # broke off within the snapshot
        [sync, jobs("a", "b"), jobs("c"), {"kind": "live", "seq": 5}, jobs("d", seq=6), jobs("e")],
        [{"kind": "resumed", "epoch": "e"}, {"kind": "gone", "uuids": ["a"]}, jobs("e"), {"kind": "live", "seq": 9}],
    )

    feed = await told(script, 3)

    assert script.resumed == ["", "", "e:6", "e:9"]
    assert sorted(feed.mirror.rows) == ["b", "c", "d", "e"]
    assert (feed.mirror.expected, feed.mirror.is_live) == (3, True)


async def test_a_snapshot_in_the_middle_takes_away_what_it_does_not_name() -> None:
    sync = {"kind": "sync", "epoch": "e", "total": 1, "counts": {}}
    script = Script(
        [sync, jobs("a", "b"), {"kind": "live", "seq": 5}, sync, jobs("b"), {"kind": "live", "seq": 8}],
    )

    feed = await told(script, 1)

    assert list(feed.mirror.rows) == ["b"]


async def test_what_somebody_else_was_shown_is_no_start() -> None:
    sync = {"kind": "sync", "epoch": "e", "total": 1, "counts": {}}
    script = Script([sync, jobs("a"), {"kind": "live", "seq": 5}])
    fetch = script.fetch

    async def whoami(call: Any) -> Any:
        script.me = f"person {len(script.resumed)}"
        return await fetch(call)

    script.fetch = whoami  # type: ignore[method-assign]
    await told(script, 1)

    assert script.resumed == ["", ""]


class Ring:
    """Something that refers to itself, as what a connection leaves when it has ended."""

    def __init__(self) -> None:
        self.self = self


async def test_a_complete_list_lets_go_of_what_an_earlier_connection_left() -> None:
    sync = {"kind": "sync", "epoch": "e", "total": 1, "counts": {}}
    ring = Ring()
    left = weakref.ref(ring)
    await told(Script([sync, jobs("a"), {"kind": "live", "seq": 1}]), 1)

    del ring
    gc.collect()
    assert left() is not None, "it was passed over, as the jobs are"
    assert gc.isenabled()

    await told(Script([sync, jobs("a"), {"kind": "live", "seq": 1}]), 1)
    assert left() is None


@pytest.mark.parametrize("number", [MANY - 1, MANY])
async def test_a_short_list_at_the_start_does_not_wait_for_a_look_that_takes_longer_than_it(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = list[int]()
    monkeypatch.setattr(gc, "collect", lambda: looks.append(len(looks)))
    sync = {"kind": "sync", "epoch": "e", "total": number, "counts": {}}
    await told(Script([sync, jobs(*(str(job) for job in range(number))), {"kind": "live", "seq": 1}]), 1)

    assert bool(looks) == (number >= MANY)
    assert gc.get_freeze_count()


async def test_a_list_that_breaks_off_leaves_the_collector_at_work() -> None:
    await told(Script([{"kind": "sync", "epoch": "e", "total": 2, "counts": {}}, jobs("a")]), 1)

    assert gc.isenabled()


async def test_a_feed_that_starts_ahead_takes_what_fills_a_screen_and_waits_with_the_rest_until_somebody_looks() -> (
    None
):
    script = Script([{"kind": "sync", "epoch": "e", "total": 3}, jobs("a"), jobs("b", "c"), {"kind": "live", "seq": 5}])
    feed = Feed("caf", script, asyncio.get_running_loop().time, lambda: 0.0)  # type: ignore[arg-type]

    feed.start(is_ahead=True)
    async with asyncio.timeout(PATIENCE):
        while not feed.is_behind:
            await asyncio.sleep(0.005)
        for _ in range(20):
            await asyncio.sleep(0)
        assert feed.drain() == {"a"}
        while len(feed.mirror) < 3:
            await asyncio.sleep(0.005)
            feed.drain()
    feed.start()  # it runs already
    await feed.stop()

    assert len(script.resumed) == 1


async def test_the_collector_looks_at_no_job_of_a_list_that_is_shown(console: Console, settle: Any) -> None:
    """With 100,000 of them each look would hold the keys up."""
    rare = gc.get_threshold()[2]
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.board.lines and console.feeds[0].mirror.is_live)
        looked_at = {id(each) for each in gc.get_objects()}

        entries = console.jobs.board.entries.values()
        assert len(entries) == 7
        assert not looked_at & {id(entry) for entry in entries}
        assert not looked_at & {id(entry.row) for entry in entries}
        assert gc.get_threshold()[2] > rare

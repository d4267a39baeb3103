"""A shell is relayed both ways at once, within its credit, recorded, and ended with whoever opened it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from jobmon_wire import frames, limits
from jobmon_wire.frames import Frame, FrameReader, write_frame, write_object
from jobmon_wire.http import Response
from tests.server.house import PATIENCE, Agent, House, rows, until


class Typist:
    """A user at the users' port who sends and reads at once, by hand."""

    def __init__(self, house: House, person: str) -> None:
        self._house = house
        self._context = house.person_context(person)
        self._response = Response()
        self._reader = FrameReader(frames.DIALOGUE)
        self._ready: list[Frame] = []
        self.body = b""  # of a refusal

    async def open(self, job: str, **arguments: Any) -> int:
        """Ask for a shell; the status."""
        self._from, self._to = await asyncio.open_connection(
            "127.0.0.1", self._house.users, ssl=self._context, server_hostname="localhost"
        )
        head = f"POST /v1/jobs/{job}/shell HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        self._to.write(head.encode())
        await self.send(write_object(frames.REQUEST, frames.CHANNEL, {"verb": "shell", "arguments": arguments}))
        while not self._response.status or (self._response.status != 200 and not self._response.is_complete):
            await self._read()
        return self._response.status

    async def send(self, data: bytes) -> None:
        """Send a chunk; none of no length, which ends the body."""
        self._to.write(b"%x\r\n%s\r\n" % (len(data), data) if data else b"0\r\n\r\n")
        await self._to.drain()

    async def type(self, data: bytes) -> None:
        """Send input."""
        await self.send(write_frame(frames.INPUT, frames.CHANNEL, data))

    async def next(self) -> Frame | None:
        """The next frame; None at the end of the answer."""
        while not self._ready:
            if self._response.is_complete or not await self._read():
                return None
        return self._ready.pop(0)

    def leave(self) -> None:
        """Vanish."""
        self._to.transport.abort()

    async def _read(self) -> bool:
        async with asyncio.timeout(PATIENCE):
            data = await self._from.read(65536)
        part = self._response.feed(data)
        if self._response.status == 200:
            self._ready += self._reader.feed(part)
        else:
            self.body += part
        return bool(data)


@contextlib.asynccontextmanager
async def a_shell(house: House, agent: Agent, person: str = "alice") -> AsyncIterator[tuple[Typist, bytes]]:
    """A shell that is open, and its request's id."""
    house.state.configuration = house.state.configuration._replace(shell="owner")
    typist = Typist(house, person)
    assert await typist.open(agent.uuid) == 200
    try:
        yield typist, (await agent.next(frames.REQUEST)).request
    finally:
        typist.leave()


async def test_bytes_go_both_ways_at_once(house: House) -> None:
    async with house.agent() as agent, a_shell(house, agent) as (typist, request):
        for text in (b"one", b"two"):
            await typist.type(text)
            assert await agent.next(frames.INPUT) == Frame(frames.INPUT, request, text)
            await agent.send(write_frame(frames.DATA, request, text.upper()))
            assert (await typist.next()) == Frame(frames.DATA, request, text.upper())
        await typist.send(write_object(frames.RESIZE, frames.CHANNEL, {"rows": 5, "columns": 9}))
        assert (await agent.next(frames.RESIZE)).size() == (5, 9)
        await agent.answer(request)
        assert (await typist.next()).document() == {"status": "done"}
        assert await typist.next() is None


async def test_the_arguments_reach_the_agent_and_the_audit(house: House) -> None:
    house.state.configuration = house.state.configuration._replace(shell="owner")
    async with house.agent() as agent, house.user() as alice:
        typist = Typist(house, "alice")
        assert await typist.open(agent.uuid, command="ls -l", rows=50) == 200
        asked = (await agent.next(frames.REQUEST)).document()
        typist.leave()
        await agent.next(frames.CANCEL)
        row = rows(await alice.get("/v1/audit"))[-1]
        log = [event["text"] for event in rows(await alice.get(f"/v1/jobs/{agent.uuid}/log"))]

    expected = {"command": "ls -l", "terminal": True, "term": "dumb", "rows": 50, "columns": 80}
    assert asked == {"verb": "shell", "arguments": {"command": "ls -l", "rows": 50}}  # what is not the default
    assert (row["verb"], row["arguments"], row["decision"], row["outcome"]) == (
        "shell",
        expected,
        "allowed",
        "cancelled",
    )
    assert [text.split(" ")[0] for text in log if text.startswith("shell by ")] == ["shell", "shell"]
    assert log[-1].endswith("ended: cancelled")


async def test_the_end_of_the_body_is_the_end_of_the_input(house: House) -> None:
    async with house.agent() as agent, a_shell(house, agent) as (typist, request):
        await typist.type(b"last")
        await typist.send(b"")

        assert (await agent.next(frames.INPUT)).payload == b"last"
        assert (await agent.next(frames.INPUT)).payload == b""
        await agent.answer(request, b"still answering")
        assert (await typist.next()).payload == b"still answering"


async def test_who_types_more_than_was_granted_is_cut_off(house: House) -> None:
    piece = bytes(limits.FRAME_PAYLOAD - frames.HEADER_BYTES)
    async with house.agent() as agent, a_shell(house, agent) as (typist, request):
        await typist.type(piece)
        await typist.type(piece)  # the window, to the byte
        for _ in range(2):
            await agent.next(frames.INPUT)
        await agent.send(frames.write_credit(request, 1000))
        assert await typist.next() == Frame(frames.CREDIT, request, (1000).to_bytes(4, "big"))
        await typist.type(bytes(1000 - frames.HEADER_BYTES))
        assert len((await agent.next(frames.INPUT)).payload) == 1000 - frames.HEADER_BYTES

        await typist.type(b"")

        await agent.next(frames.CANCEL)
        assert (await typist.next()).document()["code"] == "bad-request"


@pytest.mark.parametrize("granted", [0, 1])
async def test_an_agent_that_grants_more_than_was_typed_is_dropped(house: House, granted: int) -> None:
    async with house.agent() as agent, a_shell(house, agent) as (typist, request):
        await agent.send(frames.write_credit(request, granted))

        assert (await typist.next()).document()["code"] == "agent-gone"
        await until(agent.ended.is_set)


async def test_an_agent_grants_nothing_where_nothing_can_be_typed(house: House) -> None:
    async with house.agent() as agent, house.user() as alice:
        asking = asyncio.create_task(alice.post(f"/v1/jobs/{agent.uuid}/query", json={"verb": "ps"}))
        request = (await agent.next(frames.REQUEST)).request
        await agent.send(frames.write_credit(request, 1))
        await until(agent.ended.is_set)
        assert b"agent-gone" in (await asking).content


async def test_a_second_shell_of_a_job_is_told_to_wait(house: House) -> None:
    async with house.agent() as agent, a_shell(house, agent) as (_, request), house.user() as alice:
        second = Typist(house, "alice")
        assert await second.open(agent.uuid) == 409
        assert b'"busy"' in second.body
        second.leave()
        outcomes = [row["outcome"] for row in rows(await alice.get("/v1/audit")) if row["verb"] == "shell"]
        assert outcomes[-1] == "busy"

        await agent.answer(request)
        third = Typist(house, "alice")
        await until(lambda: not house.state.shells._open)
        assert await third.open(agent.uuid) == 200
        third.leave()


async def test_a_user_who_leaves_ends_the_shell_even_when_nothing_is_taken(house: House) -> None:
    async with house.agent() as agent, a_shell(house, agent) as (typist, request):
        await typist.type(bytes(limits.FRAME_PAYLOAD - frames.HEADER_BYTES))
        await typist.type(bytes(limits.FRAME_PAYLOAD - frames.HEADER_BYTES))
        await agent.next(frames.INPUT)
        await agent.next(frames.INPUT)

        typist.leave()

        assert (await agent.next(frames.CANCEL)).request == request
        await until(lambda: not house.state.shells._open)


async def test_a_shell_that_the_site_allows_no_more_ends(house: House) -> None:
    async with house.agent() as agent, a_shell(house, agent) as (typist, request):
        house.state.shells.review("owner")
        house.state.shells.review("off")

        assert (await agent.next(frames.CANCEL)).request == request
        assert (await typist.next()).document()["code"] == "not-permitted"


async def test_a_server_that_goes_down_says_so(house: House) -> None:
    async with house.agent() as agent, a_shell(house, agent) as (typist, _):
        stopping = asyncio.create_task(house.stop())
        assert (await typist.next()).document()["code"] == "draining"
        await stopping
    await house.start()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense" * 10,
        write_frame(frames.INPUT, frames.CHANNEL, b"ls\n"),
        write_frame(frames.REQUEST, frames.CHANNEL, b"[]"),
        write_object(frames.REQUEST, frames.CHANNEL, {"verb": "ps"}),
        write_object(frames.REQUEST, frames.CHANNEL, {"verb": "shell", "arguments": {"rows": 0}}),
        write_object(frames.REQUEST, frames.CHANNEL, {"verb": "shell", "arguments": [1]}),
    ],
    ids=["nothing", "noise", "input", "no object", "another verb", "a wrong argument", "no arguments"],
)
async def test_a_shell_that_is_not_asked_for_as_it_should_is_refused(house: House, body: bytes) -> None:
    house.state.configuration = house.state.configuration._replace(shell="owner")
    async with house.agent() as agent, house.user() as alice:
        answer = await alice.post(f"/v1/jobs/{agent.uuid}/shell", content=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad-request")


async def test_a_shell_is_not_asked_for_where_nothing_can_be_typed(house: House) -> None:
    house.state.configuration = house.state.configuration._replace(shell="owner")
    async with house.agent() as agent, house.user() as alice:
        answer = await alice.post(f"/v1/jobs/{agent.uuid}/query", json={"verb": "shell"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad-request")


async def test_a_second_request_in_one_body_ends_the_shell(house: House) -> None:
    async with house.agent() as agent, a_shell(house, agent) as (typist, _):
        await typist.send(write_object(frames.REQUEST, frames.CHANNEL, {"verb": "shell", "arguments": {}}))

        await agent.next(frames.CANCEL)
        assert (await typist.next()).document()["code"] == "bad-request"

"""The exchange: requests reach the job's agent, answers reach their reader and nobody else, at the reader's pace."""

import asyncio
import contextlib
import json
import socket
import sqlite3
from typing import Any

import pytest

from jobmon_wire import frames
from jobmon_wire.frames import FrameReader, write_frame, write_object
from tests.server.house import PING, WINDOW, House, Reader, ask, rows, until


async def test_a_request_reaches_the_agent_and_its_answer_the_reader(house: House) -> None:
    async with (
        house.agent() as agent,
        house.user() as alice,
        alice.stream("POST", "/v1/jobs/4711.0/query", **ask("head", lines=2)) as response,
    ):
        request = await agent.next(frames.REQUEST)
        await agent.answer(request.request, b"one\n", b"two\n")
        answer = await Reader(response).rest()

    assert response.headers["content-type"] == "application/vnd.jobmon.frames"
    assert request.document() == {"verb": "head", "arguments": {"lines": 2}}  # what is not the default
    assert b"".join(frame.payload for frame in answer if frame.type == frames.DATA) == b"one\ntwo\n"
    assert answer[-1].document() == {"status": "done"}
    assert {frame.request for frame in answer} == {request.request}


async def test_the_audit_row_is_on_the_disk_before_the_agent_hears_of_the_request(house: House) -> None:
    async with house.agent() as agent, house.user() as alice:
        asking = asyncio.create_task(alice.post("/v1/jobs/4711.0/query", **ask("kill")))
        request = await agent.next(frames.REQUEST)
        # Another connection to the file sees only what was committed.
        with sqlite3.connect(f"file:{house.site.store_path}?mode=ro", uri=True) as disk:
            found = disk.execute("SELECT verb, request, decision FROM audit").fetchall()
        disk.close()
        await agent.answer(request.request)
        await asking

    assert found == [("kill", request.request.hex(), "allowed")]


async def test_a_signal_to_one_process_is_written_down_with_it_and_sent_once(house: House) -> None:
    process = {"pid": 31337, "started": "2458696:dc11b80b"}
    async with house.user() as alice:
        credential = house.job()
        async with house.agent(credential=credential) as agent:
            asking = asyncio.create_task(alice.post("/v1/jobs/4711.0/query", **ask("kill", **process)))
            request = await agent.next(frames.REQUEST)
            with sqlite3.connect(f"file:{house.site.store_path}?mode=ro", uri=True) as disk:
                found = disk.execute("SELECT verb, arguments, request FROM audit").fetchall()
            disk.close()
        answer = await asking
        async with house.agent(credential=credential) as again:  # it comes back: nothing is repeated to it
            await again.vitals()
            await until(lambda: house.state.registry.get(again.uuid).cpu_percent == 99.0)
            assert again.frames.empty()
        row = await until_outcome(alice)

    ((verb, arguments, request_id),) = found
    assert (verb, request_id) == ("kill", request.request.hex())
    assert json.loads(arguments) == {"signal": "TERM", "grace": None, **process}
    assert b"agent-gone" in answer.content
    assert (row["outcome"], row["arguments"]["pid"]) == ("agent-gone", 31337)


async def test_a_full_store_lets_no_request_through_but_lists_are_still_read(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house.agent() as agent, house.user() as alice:
        await until(lambda: not house.state.store._deferred)
        house.state.store._connection.execute("PRAGMA query_only = ON")
        refused = await alice.post("/v1/jobs/4711.0/query", **ask("kill"))
        listed = await alice.get("/v1/jobs")
        log = await alice.get("/v1/jobs/4711.0/log")
        house.state.store._connection.execute("PRAGMA query_only = OFF")

        assert (refused.status_code, refused.json()["error"]["code"]) == (507, "store-full")
        assert len(rows(listed)) == 1
        assert rows(log)
        assert agent.frames.empty()


async def test_two_requests_run_side_by_side_and_get_their_own_answers(house: House) -> None:
    async with (
        house.agent() as agent,
        house.user() as alice,
        alice.stream("POST", "/v1/jobs/4711.0/query", **ask("tail", follow=True)) as slow,
        alice.stream("POST", "/v1/jobs/4711.0/query", **ask("head")) as quick,
    ):
        first, second = await agent.next(frames.REQUEST), await agent.next(frames.REQUEST)
        await agent.send(write_frame(frames.DATA, first.request, b"of the first"))
        await agent.answer(second.request, b"of the second")
        quick_frames = await Reader(quick).rest()
        await agent.answer(first.request)
        slow_frames = await Reader(slow).rest()

    assert [frame.payload for frame in quick_frames][:1] == [b"of the second"]
    assert [frame.payload for frame in slow_frames][:1] == [b"of the first"]


async def test_a_slow_reader_stops_the_agent_and_loses_nothing(house: House) -> None:
    size = 16 * 2**20  # bytes; more than all buffers of the loopback hold
    async with house.agent() as agent:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", house.users))
        reader, writer = await asyncio.open_connection(
            sock=sock, ssl=house.person_context("alice"), server_hostname="localhost", limit=64 * 1024
        )
        body = json.dumps({"verb": "cat", "arguments": {}}).encode()
        head = b"POST /v1/jobs/4711.0/query HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
        writer.write(head % len(body) + body)
        request = await agent.next(frames.REQUEST)
        producing = asyncio.create_task(_produce(agent, request.request, size))
        stalled = await _stalled(agent)

        received = bytearray()
        await reader.readuntil(b"\r\n\r\n")
        answers = FrameReader(frames.ANSWER)
        while length := int(await reader.readline(), 16):
            for frame in answers.feed((await reader.readexactly(length + 2))[:-2]):
                received += frame.payload if frame.type == frames.DATA else b""
        await producing
        writer.close()

    assert stalled < size / 2, "the agent went on without a reader"
    assert len(received) == size
    assert received == bytes(range(256)) * (size // 256)


async def _produce(agent: Any, request: bytes, size: int) -> None:
    """Send so many bytes, never more than was granted."""
    credit, sent = WINDOW, 0
    agent.sent = 0
    while sent < size:
        while credit < 32768:
            credit += (await agent.next(frames.CREDIT)).credit()
        await agent.send(write_frame(frames.DATA, request, bytes(range(256)) * 128))
        credit, sent = credit - 32768, sent + 32768
        agent.sent = sent
    await agent.send(write_object(frames.END, request, {"status": "done"}))


async def _stalled(agent: Any) -> int:
    """The bytes that had been sent when nothing was sent for half a second."""
    sent, still = -1, 0
    while still < 10:
        await asyncio.sleep(0.05)
        still = still + 1 if getattr(agent, "sent", 0) == sent else 0
        sent = getattr(agent, "sent", 0)
    return sent


async def test_an_agent_that_sends_beyond_its_credit_is_cut_off(house: House) -> None:
    async with (
        house.agent() as agent,
        house.user() as alice,
        alice.stream("POST", "/v1/jobs/4711.0/query", **ask("cat")) as response,
    ):
        request = await agent.next(frames.REQUEST)
        with contextlib.suppress(ConnectionError):
            while not agent.ended.is_set():
                await agent.send(write_frame(frames.DATA, request.request, b"x" * 65536) * 32)
        await until(agent.ended.is_set)
        last = (await Reader(response).rest())[-1]

    assert last.document()["code"] == "agent-gone"


async def test_a_reader_that_leaves_cancels_its_request(house: House) -> None:
    async with house.agent() as agent, house.user() as alice:
        async with alice.stream("POST", "/v1/jobs/4711.0/query", **ask("top")):
            request = await agent.next(frames.REQUEST)
        cancelled = await agent.next(frames.CANCEL)
        async with house.user() as later:
            audit = await until_outcome(later)

    assert cancelled.request == request.request
    assert audit["outcome"] == "cancelled"


async def until_outcome(client: Any) -> dict[str, Any]:
    """The newest action, once its outcome is known."""
    for _ in range(200):
        found = rows(await client.get("/v1/audit"))[-1]
        if found["outcome"]:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(found)


async def test_an_agent_that_vanishes_ends_the_answer_as_gone(house: House) -> None:
    async with house.agent() as agent, house.user() as alice:
        async with alice.stream("POST", "/v1/jobs/4711.0/query", **ask("tail", follow=True)) as response:
            request = await agent.next(frames.REQUEST)
            reader = Reader(response)
            await agent.send(write_frame(frames.DATA, request.request, b"half"))
            half = await reader.next()
            await agent.close()
            rest = await reader.rest()
        audit = await until_outcome(alice)

    assert half.payload == b"half"
    assert [frame.document()["code"] for frame in rest] == ["agent-gone"]
    assert audit["outcome"] == "agent-gone"


async def test_frames_that_nobody_waits_for_are_dropped(house: House) -> None:
    async with house.agent() as agent, house.user() as alice:
        async with alice.stream("POST", "/v1/jobs/4711.0/query", **ask("head")) as response:
            request = await agent.next(frames.REQUEST)
            stranger = bytes(range(16))
            await agent.answer(stranger, b"forged")
            await agent.answer(bytes(16), b"forged")
            await agent.answer(request.request, b"true")
            await agent.answer(request.request, b"doubled")
            answer = await Reader(response).rest()
        # The channel lives on.
        async with alice.stream("POST", "/v1/jobs/4711.0/query", **ask("head")) as response:
            await agent.answer((await agent.next(frames.REQUEST)).request, b"again")
            again = await Reader(response).rest()

    assert [frame.payload for frame in answer if frame.type == frames.DATA] == [b"true"]
    assert [frame.payload for frame in again if frame.type == frames.DATA] == [b"again"]


async def test_another_jobs_agent_cannot_answer_a_request(house: House) -> None:
    async with (
        house.agent() as agent,
        house.agent("bob", "9.0") as other,
        house.user() as alice,
        alice.stream("POST", "/v1/jobs/4711.0/query", **ask("head")) as response,
    ):
        request = await agent.next(frames.REQUEST)
        await other.answer(request.request, b"forged")
        await other.vitals()
        await until(lambda: house.state.registry.get(other.uuid).cpu_percent == 99.0)  # it has been read
        await agent.answer(request.request, b"true")
        answer = await Reader(response).rest()

    assert [frame.payload for frame in answer if frame.type == frames.DATA] == [b"true"]


async def test_sixteen_requests_are_under_way_at_most(house: House) -> None:
    async with house.agent() as agent, house.user() as alice:
        asking = [asyncio.create_task(alice.post("/v1/jobs/4711.0/query", **ask("ps"))) for _ in range(16)]
        requests = [await agent.next(frames.REQUEST) for _ in range(16)]
        refused = await alice.post("/v1/jobs/4711.0/query", **ask("ps"))
        for request in requests:
            await agent.answer(request.request)
        done = await asyncio.gather(*asking)

    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too-many")
    assert {response.status_code for response in done} == {200}


async def test_an_agent_that_answers_no_ping_is_dropped_and_one_that_does_stays(house: House) -> None:
    async with house.agent(job_id="1.0") as dead, house.agent(job_id="2.0") as alive:
        dead.answers_pings = False
        await asyncio.wait_for(dead.ended.wait(), 20 * PING)
        assert not alive.ended.is_set()
        assert alive.pings >= 2


async def test_a_server_that_stood_still_drops_no_agent_whose_signs_wait_to_be_read(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    async with house.agent() as agent:
        await until(lambda: agent.pings)
        moment = loop.time
        monkeypatch.setattr(loop, "time", lambda: moment() + 20 * PING)
        before = agent.pings
        await until(lambda: agent.pings >= before + 3)
        assert not agent.ended.is_set()


async def test_a_request_waits_a_moment_for_an_agent_that_is_coming_back(house: House) -> None:
    async with house.user() as alice:
        credential = house.job()
        async with house.agent(credential=credential):
            pass
        await until(lambda: house.state.exchange.channel(credential.uuid) is None)
        asking = asyncio.create_task(alice.post("/v1/jobs/4711.0/query", **ask("head")))
        await asyncio.sleep(0.05)
        async with house.agent(credential=credential) as agent:
            await agent.answer((await agent.next(frames.REQUEST)).request, b"back")
            response = await asking

    assert response.status_code == 200
    assert b"back" in response.content


async def test_a_job_without_an_agent_is_silent_and_one_that_has_ended_has_ended(house: House) -> None:
    async with house.user() as alice:
        async with house.agent(job_id="1.0"):
            pass
        async with house.agent(job_id="2.0") as agent:
            status, _ = await agent.end()
        silent = await alice.post("/v1/jobs/1.0/query", **ask("ps"))
        ended = await alice.post("/v1/jobs/2.0/query", **ask("ps"))
        audit = rows(await alice.get("/v1/audit"))

    assert status == 204
    assert (silent.status_code, silent.json()["error"]["code"]) == (503, "job-silent")
    assert (ended.status_code, ended.json()["error"]["code"]) == (410, "job-ended")
    assert [row["outcome"] for row in audit] == ["job-silent", "job-ended"]


async def test_a_server_that_goes_down_says_goodbye_to_agents_and_ends_answers(house: House) -> None:
    async with house.agent() as agent, house.user() as alice:
        async with alice.stream("POST", "/v1/jobs/4711.0/query", **ask("tail", follow=True)) as response:
            await agent.next(frames.REQUEST)
            await house.stop()
            goodbye = await agent.next(frames.GOODBYE)
            rest = await Reader(response).rest()
        await house.start()

    assert goodbye.document()["retry_after"] > 0
    assert [frame.document()["code"] for frame in rest] == ["draining"]

"""An answer under way: in order, whole, within its credit, and ended exactly once."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon_server.answers import Answer
from jobmon_wire import frames, limits
from jobmon_wire.frames import Frame, FrameError, FrameReader
from tests.server.house import PATIENCE

REQUEST = bytes(range(16))
DONE = Frame(frames.END, REQUEST, b'{"status":"done"}')


def data(payload: bytes, kind: int = frames.DATA) -> Frame:
    """A frame of the answer."""
    return Frame(kind, REQUEST, payload)


def an_answer() -> tuple[Answer, list[int]]:
    """An answer and the grants it makes."""
    grants: list[int] = []
    return Answer(REQUEST, grants.append), grants


async def all_of(answer: Answer) -> list[Frame]:
    """Every frame, as a reader gets them."""
    reader, found = FrameReader(frames.ANSWER), []
    async with asyncio.timeout(PATIENCE):
        while part := await answer.take():
            found += reader.feed(part)
            answer.took()
    assert reader.is_empty
    return found


def fill(answer: Answer, size: int) -> None:
    """DATA of so many bytes."""
    while size:
        part = min(size, limits.FRAME_PAYLOAD)
        answer.put(data(b"x" * part))
        size -= part


def flood(answer: Answer, number: int) -> None:
    """So many RECORDs of two bytes, 26 with their headers."""
    for _ in range(number):
        answer.put(data(b"{}", frames.RECORD))


async def test_a_whole_window_fits_and_one_byte_more_breaks_the_contract() -> None:
    answer, _ = an_answer()
    fill(answer, limits.CREDIT_WINDOW)

    with pytest.raises(FrameError, match="beyond its credit"):
        answer.put(data(b"x"))


async def test_credit_comes_back_as_the_reader_takes_and_not_before() -> None:
    answer, grants = an_answer()
    fill(answer, limits.CREDIT_WINDOW)
    await answer.take()
    before = list(grants)

    answer.took()

    assert before == []
    assert grants == [limits.CREDIT_WINDOW]
    fill(answer, limits.CREDIT_WINDOW)


async def test_small_reads_are_granted_together() -> None:
    answer, grants = an_answer()
    for _ in range(64):
        answer.put(data(b"x" * 1024))
        await answer.take()
        answer.took()

    assert grants == [64 * 1024]


async def test_runs_of_data_are_joined_and_records_keep_their_place() -> None:
    answer, _ = an_answer()
    for frame in (data(b"a"), data(b"b"), data(b"{}", frames.NOTE), data(b"c"), DONE):
        answer.put(frame)

    got = await all_of(answer)

    assert [(frame.type, frame.payload) for frame in got[:-1]] == [
        (frames.DATA, b"ab"),
        (frames.NOTE, b"{}"),
        (frames.DATA, b"c"),
    ]
    assert answer.outcome == "done"


async def test_many_tiny_frames_cannot_fill_the_memory() -> None:
    answer, _ = an_answer()
    for _ in range(100_000):
        answer.put(data(b""))  # costs no credit, so it must cost no memory

    with pytest.raises(FrameError, match="small frames"):
        flood(answer, 4 * limits.CREDIT_WINDOW // 26 + 1)


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b"{}", b'{"status":"odd"}', b'{"status":"failed"}', b'{"status":"failed","code":1,"message":""}'],
)
def test_an_end_that_is_none_breaks_the_contract(payload: bytes) -> None:
    answer, _ = an_answer()

    with pytest.raises(FrameError):
        answer.put(Frame(frames.END, REQUEST, payload))


def test_the_audit_takes_no_text_of_a_jobs_for_an_outcome() -> None:
    answer, _ = an_answer()

    answer.put(Frame(frames.END, REQUEST, b'{"status":"failed","code":"\\u001b[31m","message":""}'))

    assert answer.outcome == "action-failed"


KINDS = st.sampled_from([frames.DATA, frames.RECORD, frames.NOTE, frames.END, frames.PING, frames.VITALS])


@given(st.lists(st.tuples(KINDS, st.binary(max_size=40)), max_size=40))
async def test_whatever_comes_the_first_end_is_the_last_frame(said: list[tuple[int, bytes]]) -> None:
    answer, _ = an_answer()
    expected: list[Any] = []
    for kind, payload in said:
        if kind == frames.END:
            answer.put(DONE)
            break
        answer.put(data(payload, kind))
        expected.append((kind, payload))
    for kind, payload in said:  # late, doubled, forged: nothing of it counts once it has ended
        if answer.outcome:
            answer.put(data(payload, kind))
    answer.fail("agent-gone", "")

    got = await all_of(answer)

    assert [frame.type for frame in got].count(frames.END) == 1
    assert got[-1].type == frames.END
    assert b"".join(frame.payload for frame in got if frame.type == frames.DATA) == b"".join(
        payload for kind, payload in expected if kind == frames.DATA
    )

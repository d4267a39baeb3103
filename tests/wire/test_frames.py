"""Bytes become frames, or a frame error before anything is waited for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon_wire import frames, limits
from jobmon_wire.frames import Frame, FrameError, FrameReader, write_frame

IDS = st.binary(min_size=16, max_size=16)
FRAMES = st.lists(st.tuples(st.sampled_from(sorted(frames.UP)), IDS, st.binary(max_size=200)), max_size=8)


@given(FRAMES, st.lists(st.integers(1, 40), min_size=1))
def test_a_stream_cut_anywhere_gives_the_same_frames(wanted: list[tuple[int, bytes, bytes]], cuts: list[int]) -> None:
    stream = b"".join(write_frame(*frame) for frame in wanted)
    reader = FrameReader(frames.UP)
    found: list[Frame] = []
    while stream:
        for cut in cuts:
            found += reader.feed(stream[:cut])
            stream = stream[cut:]

    assert [tuple(frame) for frame in found] == wanted
    assert reader.is_empty


@given(st.binary(max_size=200))
def test_arbitrary_bytes_give_a_frame_or_a_frame_error(noise: bytes) -> None:
    try:
        for frame in FrameReader(frames.UP | frames.DOWN).feed(noise):
            assert len(frame.payload) <= limits.FRAME_PAYLOAD
    except FrameError:
        pass


@pytest.mark.parametrize(
    "header",
    [
        b"\x63" + bytes(23),  # no such type
        b"\x01" + bytes(23),  # a request, sent upwards
        b"\x06\x01" + bytes(22),  # a flag
        b"\x06\x00\x00\x01" + bytes(20),  # a reserved bit
        b"\x06\x00\x00\x00\x00\x01\x00\x01" + bytes(16),  # one byte too long
    ],
    ids=["type", "direction", "flag", "reserved", "length"],
)
def test_a_wrong_header_is_refused_before_its_payload_is_waited_for(header: bytes) -> None:
    with pytest.raises(FrameError):
        FrameReader(frames.UP).feed(header)


def test_the_longest_payload_passes_and_one_byte_more_is_not_written() -> None:
    longest = bytes(limits.FRAME_PAYLOAD)

    assert FrameReader(frames.UP).feed(write_frame(frames.DATA, bytes(16), longest))[0].payload == longest
    with pytest.raises(FrameError, match="65537"):
        write_frame(frames.DATA, bytes(16), longest + b"x")


def test_a_payload_that_is_no_object_is_a_frame_error() -> None:
    with pytest.raises(FrameError, match="an object"):
        Frame(frames.END, bytes(16), b"[]").document()
    with pytest.raises(FrameError, match="4 were expected"):
        Frame(frames.CREDIT, bytes(16), b"\0\0\1").credit()

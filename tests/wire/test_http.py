"""The agent's HTTP reads what a server sends, in any pieces, and refuses what could be read in two ways."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon_wire.http import HttpError, Response, chunk, request_head

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nRetry-After: 3\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n"


@given(st.sampled_from([PLAIN, CHUNKED, b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN]), st.lists(st.integers(0, 90)))
def test_a_response_is_the_same_however_it_is_cut(wire: bytes, cuts: list[int]) -> None:
    response, body, at = Response(), b"", 0
    for cut in [*sorted(cuts), len(wire)]:
        body += response.feed(wire[at : max(at, cut)])
        at = max(at, cut)
    assert (response.status, body, response.is_complete) == (200, b"hello", True)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_a_response_or_an_error(noise: bytes) -> None:
    for start in (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"):
        with contextlib.suppress(HttpError):
            assert len(Response().feed(start + noise)) <= len(noise)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nsurplus",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20000,
        CHUNKED.replace(b"3\r\nhel", b"3\r\nhell"),
        CHUNKED.replace(b"3\r\nhel", b"fffffffff\r\nhel"),
        CHUNKED.replace(b"0\r\n\r\n", b"0\r\nTrailer: x\r\n\r\n"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(head: bytes) -> None:
    with pytest.raises(HttpError):
        Response().feed(head)


def test_an_answer_without_content_is_complete() -> None:
    response = Response()
    assert response.feed(b"HTTP/1.1 204 No Content\r\n\r\n") == b""
    assert (response.status, response.is_complete) == (204, True)


def test_a_request_tells_the_length_of_its_body_in_one_way() -> None:
    assert b"Content-Length: 3\r\n" in request_head("/v1/end", "h:1", "a", "t", 3)
    assert b"Transfer-Encoding: chunked\r\n" in request_head("/v1/channel", "h:1", "a", "t", None)
    assert chunk(b"abc") == b"3\r\nabc\r\n"
    assert chunk(b"") == b""

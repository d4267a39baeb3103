"""No request can hide in another: what two readers of HTTP could read differently gets one refusal and the end.

Raw bytes over a genuine TLS connection of a genuine person.  Each hostile
request is followed on the wire by a whole good one: were the server to take its
end for somewhere else than it is, the follower, or a part of it, would be
answered as a request of its own, or reach the application.
"""

import re
import ssl

import pytest

from jobmon_server.ports import Port
from tests.security.backend import Backend
from tests.server.test_peer import talk

FOLLOWER = b"GET /follower HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST, GET = b"POST /first HTTP/1.1\r\nHost: localhost\r\n", b"GET /first HTTP/1.1\r\nHost: localhost\r\n"
ANSWER = re.compile(rb"HTTP/1\.1 [0-9]{3} ")
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"


async def _heard(port: Port, context: ssl.SSLContext, data: bytes) -> bytes:
    async with talk(port, context) as connection:
        await connection.say(data)
        return await connection.hear()


HOSTILE = {
    # Two lengths, in every way to say it
    "length and chunks": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n",
    "length 0 and chunks": POST + b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "length and chunks, lower case": POST + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 5\r\n\r\nx",
    "the same length twice": POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    "lengths in a list": POST + b"Content-Length: 1, 1\r\n\r\nx",
    "different lengths in a list": POST + b"Content-Length: 1,5\r\n\r\nx",
    "chunked twice": CHUNKED + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked twice in a list": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked, then identity": CHUNKED + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    # Lengths that are no plain number
    "length +3": POST + b"Content-Length: +3\r\n\r\nabc",
    "length -3": POST + b"Content-Length: -3\r\n\r\nabc",
    "length 0x3": POST + b"Content-Length: 0x3\r\n\r\nabc",
    "length 3.0": POST + b"Content-Length: 3.0\r\n\r\nabc",
    "length 3 4": POST + b"Content-Length: 3 4\r\n\r\nabc",
    "length 1_0": POST + b"Content-Length: 1_0\r\n\r\nabcdefghij",
    "length three": POST + b"Content-Length: three\r\n\r\nabc",
    "length nothing": POST + b"Content-Length: \r\n\r\n",
    "length in Arabic digits": POST + b"Content-Length: \xd9\xa3\r\n\r\nabc",
    "length beyond 64 bits": POST + b"Content-Length: 99999999999999999999999\r\n\r\nabc",
    "length with a vertical tab": POST + b"Content-Length: \x0b3\r\n\r\nabc",
    # Encodings that are not exactly chunked
    "xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunkedx": POST + b"Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n",
    "chunked in quotes": POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "chunked with a parameter": POST + b"Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
    "chunked after a vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "gzip, chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked, gzip": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "identity": POST + b"Transfer-Encoding: identity\r\n\r\n",
    "a comma before chunked": POST + b"Transfer-Encoding: , chunked\r\n\r\n0\r\n\r\n",
    "an encoding of nothing": POST + b"Transfer-Encoding: \r\n\r\n0\r\n\r\n",
    # Names of headers that some readers mend
    "a space before the colon": POST + b"Content-Length : 3\r\n\r\nabc",
    "a space before the colon of chunked": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a tab before the colon": POST + b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
    "a space before the name": b"POST /first HTTP/1.1\r\n Content-Length: 3\r\nHost: localhost\r\n\r\nabc",
    "a NUL in the name": POST + b"Content\x00-Length: 3\r\n\r\nabc",
    "a NUL in the value": POST + b"X-A: a\x00b\r\n\r\n",
    "no colon": POST + b"Content-Length 3\r\n\r\nabc",
    "no name": POST + b": chunked\r\n\r\n",
    "a name in brackets": POST + b"[Host]: x\r\n\r\n",
    # Lines that end otherwise
    "a bare LF after the request line": b"GET /first HTTP/1.1\nHost: localhost\r\n\r\n",
    "a bare LF after a header": GET + b"X-A: b\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bare LFs alone": b"GET /first HTTP/1.1\nHost: localhost\n\n",
    "a bare CR within a value": GET + b"X-A: b\rTransfer-Encoding: chunked\r\n\r\n",
    "a bare CR at the end of a line": GET + b"X-A: b\r\r\n\r\n",
    "a folded header": GET + b"X-A: b\r\n Transfer-Encoding: chunked\r\n\r\n",
    "a folded length": POST + b"Content-Length:\r\n 3\r\n\r\nabc",
    "a folded encoding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    # Chunks
    "a chunk's size +5": CHUNKED + b"\r\n+5\r\nhello\r\n0\r\n\r\n",
    "a chunk's size -5": CHUNKED + b"\r\n-5\r\nhello\r\n0\r\n\r\n",
    "a chunk's size 0x5": CHUNKED + b"\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "a chunk's size beyond 64 bits": CHUNKED + b"\r\n10000000000000005\r\nhello\r\n0\r\n\r\n",
    "a chunk's size of nothing": CHUNKED + b"\r\n\r\nhello\r\n0\r\n\r\n",
    "a chunk longer than its size": CHUNKED + b"\r\n3\r\nhello\r\n0\r\n\r\n",
    "a chunk shorter than its size": CHUNKED + b"\r\n7\r\nhello\r\n0\r\n\r\n",
    "a chunk's size ended by a bare LF": CHUNKED + b"\r\n5\nhello\r\n0\r\n\r\n",
    "a chunk ended by a bare LF": CHUNKED + b"\r\n5\r\nhello\n0\r\n\r\n",
    "a bare LF in a chunk's extension": CHUNKED + b"\r\n5;a\nb\r\nhello\r\n0\r\n\r\n",
    "a space before a chunk's size": CHUNKED + b"\r\n 5\r\nhello\r\n0\r\n\r\n",
    "a length in a trailer": CHUNKED + b"\r\n5\r\nhello\r\n0\r\nContent-Length: 100\r\n\r\n",
    # Request lines
    "an unknown version": b"GET /first HTTP/1.2\r\nHost: localhost\r\n\r\n",
    "version 2.0": b"GET /first HTTP/2.0\r\nHost: localhost\r\n\r\n",
    "version 1.0": b"GET /first HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n",
    "chunks in version 1.0": b"POST /first HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "version 0.9": b"GET /first\r\n\r\n",
    "a tab in the request line": b"GET\t/first\tHTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a space in the address": b"GET /fir st HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a method of no kind": b"G@T /first HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "CONNECT": b"CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "an upgrade to h2c": GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n",
    "an upgrade to a websocket": GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("what", HOSTILE)
async def test_what_could_hide_a_request_gets_one_refusal_and_the_end(
    port: Port, backend: Backend, alice: ssl.SSLContext, what: str
) -> None:
    heard = await _heard(port, alice, HOSTILE[what] + FOLLOWER)

    assert len(ANSWER.findall(heard)) == 1
    assert heard.startswith(b"HTTP/1.1 4")
    assert b"connection: close" in heard.lower()
    assert backend.reached == []


UNUSUAL = {
    "a plain length": (POST + b"Content-Length: 5\r\n\r\nhello", b"hello"),
    "a length with zeros before it": (POST + b"Content-Length: 005\r\n\r\nhello", b"hello"),
    "a body on a GET": (GET + b"Content-Length: 5\r\n\r\nhello", b"hello"),
    "chunks": (CHUNKED + b"\r\n5\r\nhello\r\n0\r\n\r\n", b"hello"),
    "chunks with extensions": (CHUNKED + b'\r\n5;a=b;c="d"\r\nhello\r\n0;e\r\n\r\n', b"hello"),
    "chunks with sizes in both cases": (
        CHUNKED + b"\r\na\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
        b"0123456789" * 2,
    ),
    "a trailer": (CHUNKED + b"\r\n5\r\nhello\r\n0\r\nX-Sum: 100\r\n\r\n", b"hello"),
    "Chunked": (POST + b"Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", b"hello"),
    "an empty line before": (b"\r\n" + GET + b"\r\n", b""),
    "two spaces before the version": (b"GET /first  HTTP/1.1\r\nHost: localhost\r\n\r\n", b""),
    "an address in full": (b"GET https://localhost/first HTTP/1.1\r\nHost: localhost\r\n\r\n", b""),
    "a request as body": (POST + b"Content-Length: %d\r\n\r\n%s" % (len(FOLLOWER), FOLLOWER), FOLLOWER),
}


@pytest.mark.parametrize("what", UNUSUAL)
async def test_what_all_readers_understand_alike_is_one_request_and_the_next_another(
    port: Port, backend: Backend, alice: ssl.SSLContext, what: str
) -> None:
    """The control of the test above: the follower does reach the application where it may."""
    request, body = UNUSUAL[what]

    heard = await _heard(port, alice, request + FOLLOWER[:-2] + b"Connection: close\r\n\r\n")

    assert len(ANSWER.findall(heard)) == 2
    assert backend.reached == [("/first", body), ("/follower", b"")]


CLAIMS = (b"X-SSL-Client-Verify", b"X-SSL-Client-S-DN", b"X-SSL-Client-Cert", b"SSL_CLIENT_S_DN", b"X-Client-Cert")
FORWARDS = (b"X-Forwarded-For", b"X-Forwarded-Proto", b"X-Real-IP", b"Forwarded", b"X-Forwarded-Client-Cert")


@pytest.mark.parametrize("name", [*CLAIMS, *FORWARDS])
async def test_a_header_changes_neither_who_somebody_is_nor_where_from(
    port: Port, alice: ssl.SSLContext, name: bytes
) -> None:
    claim = b"%s: /DC=org/DC=example/OU=People/CN=root\r\n" % name

    plain = await _heard(port, alice, GET + b"Connection: close\r\n\r\n")
    claimed = await _heard(port, alice, GET + claim + b"Connection: close\r\n\r\n")

    assert b"CN=alice" in plain
    assert claimed == plain

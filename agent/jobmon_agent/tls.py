"""A TLS connection to the server that never waits: bytes go into a buffer and come out of one.

The server must chain to the CA in the credential and carry the name it was
called by; the agent shows the job's certificate.  Nothing here knows what the
bytes mean.
"""

import errno
import os
import select
import socket
import ssl
import sys

from jobmon_wire import limits
from jobmon_wire.credential import Credential
from jobmon_wire.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, List, Optional, Tuple, Union

    # The shape of worker.Watch.wait: descriptor, poll's mask, seconds; whether it is ready.
    Wait = Callable[[int, int, float], bool]

_READ = 64 * limits.KIB  # bytes asked for at a time: four TLS records
_USER_TIMEOUT = 18  # TCP_USER_TIMEOUT; the socket module names it on some versions only
_LOST_AFTER = 60000  # ms that sent bytes may stay unacknowledged before the kernel gives the connection up
_PORT = 443  # of an address that names none
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2; older Pythons would take CBC, too


class Address(NamedTuple):
    """Where the server is."""

    host: str
    port: int

    @property
    def authority(self) -> str:
        """As it stands in a Host header."""
        host = "[%s]" % self.host if ":" in self.host else self.host
        return "%s:%d" % (host, self.port)


def read_address(url: str) -> Address:
    """The address in ``https://host:port``.

    Raises:
        ValueError: it is none.
    """
    # By hand: urllib.parse takes 4 ms of CPU, for which the first command after a wake-up waits.
    scheme, _, rest = url.partition("://")
    authority = rest.partition("/")[0]
    host, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        host, port = authority, str(_PORT)
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    is_literal = bare != host
    if scheme.lower() != "https" or not bare or (":" in bare) > is_literal or not _is_plain(bare) or not _is_port(port):
        raise ValueError("the credential's server is no https address")
    return Address(bare.lower(), int(port))


def _is_plain(host: str) -> bool:
    return not any(sign in "@[]?#\\" or sign <= " " for sign in host)


def _is_port(port: str) -> bool:
    return 0 < len(port) <= 5 and all("0" <= sign <= "9" for sign in port) and 0 < int(port) < 2**16


def client_context(credential: Credential, descriptor: int, is_renewed: bool = False) -> ssl.SSLContext:
    """What is shown to the server and what is asked of it.

    Args:
        descriptor: the open credential file; its name may have gone by now.
        is_renewed: the file's key is the credential's, its certificate an older one.

    Raises:
        ssl.SSLError: the certificate is none, or not for the key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks the chain and the name
    # TLS 1.3 where there is one; OpenSSL 1.0.2 under an old Python has 1.2 at most.
    if hasattr(context, "minimum_version"):
        context.minimum_version = ssl.TLSVersion.TLSv1_2  # novm
    else:
        context.options |= ssl.OP_NO_SSLv2 | ssl.OP_NO_SSLv3 | ssl.OP_NO_TLSv1 | ssl.OP_NO_TLSv1_1
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
    context.set_ciphers(_CIPHERS)
    context.load_verify_locations(cadata=credential.server_ca)
    key = "/proc/self/fd/%d" % descriptor
    if not is_renewed:
        context.load_cert_chain(key)
        return context
    # OpenSSL takes a certificate from a file alone; a pipe is one that nobody else can read.
    reading, writing = os.pipe()
    try:
        with os.fdopen(writing, "wb") as file:
            file.write(credential.certificate.encode("ascii", "replace"))
        context.load_cert_chain("/proc/self/fd/%d" % reading, key)
    finally:
        os.close(reading)
    return context


def connect(address: Address, context: ssl.SSLContext, wait: "Wait") -> "Connection":
    """A connection whose handshake is done.

    With TLS 1.3 the server may still refuse the certificate: that shows at the
    first bytes read.

    Raises:
        OSError: no connection; ``ssl.SSLError`` is one.
    """
    problem: "Optional[OSError]" = None
    for family, kind, protocol, _, target in socket.getaddrinfo(
        _encoded(address.host), address.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
    ):
        try:
            plain = socket.socket(family, kind, protocol)
        except OSError as error:  # this machine has no such family
            problem = error
            continue
        try:
            _connect_plain(plain, target, wait)
            return _shake_hands(plain, address, context, wait)
        except OSError as error:
            plain.close()
            problem = error
        except BaseException:
            plain.close()
            raise
    raise problem or OSError("the server's name has no address")


def _encoded(host: str) -> "Union[str, bytes]":
    """A name as bytes, if it is ASCII; text would have Python load the tables of international names, 2 ms of CPU."""
    try:
        return host.encode("ascii")
    except UnicodeEncodeError:
        return host


def _connect_plain(plain: socket.socket, target: "Tuple[Any, ...]", wait: "Wait") -> None:
    plain.setblocking(False)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    try:
        plain.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, _LOST_AFTER)
    except OSError:
        pass
    code = plain.connect_ex(target)  # getaddrinfo's own
    if code == errno.EINPROGRESS:
        if not wait(plain.fileno(), select.POLLOUT, limits.CONNECT_TIMEOUT):
            raise socket.timeout("the server does not answer")
        code = plain.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, errno.errorcode.get(code, ""))


def _shake_hands(plain: socket.socket, address: Address, context: ssl.SSLContext, wait: "Wait") -> "Connection":
    # Python 3.6 compares names as text.
    name = _encoded(address.host) if sys.version_info >= (3, 7) else address.host
    secure = context.wrap_socket(plain, server_hostname=name, do_handshake_on_connect=False)
    try:
        while True:
            try:
                secure.do_handshake()
                return Connection(secure)
            except ssl.SSLWantReadError:
                mask = select.POLLIN
            except ssl.SSLWantWriteError:
                mask = select.POLLOUT
            if not wait(secure.fileno(), mask, limits.CONNECT_TIMEOUT):
                raise socket.timeout("the server does not finish the TLS handshake")
    except BaseException as error:
        secure.close()
        if isinstance(error, ValueError):  # Python 3.6 raises CertificateError, a ValueError, for a wrong name
            raise OSError(str(error))
        raise


class Connection:
    """An open connection: what is to be sent waits in ``unsent``."""

    def __init__(self, secure: ssl.SSLSocket) -> None:
        self.socket = secure
        self.unsent = bytearray()
        self.is_at_end = False  # the peer will send no more
        self._wants_to_write = False

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self.socket.fileno()

    def interest(self) -> int:
        """What to wait for, as poll's mask."""
        return select.POLLIN | (select.POLLOUT if self.unsent or self._wants_to_write else 0)

    def move(self) -> bytes:
        """Send and receive what can be without waiting; the bytes received.

        Raises:
            OSError: the connection is broken, or the server refused the certificate.
        """
        self._wants_to_write = False
        self.flush()
        return self._receive()

    def flush(self) -> None:
        """Send what can be without waiting.

        Raises:
            OSError: the connection is broken.
        """
        # One call may be repeated with other bytes only because the socket module sets
        # SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER; the bytes themselves stay the same until they have gone.
        while self.unsent:
            try:
                sent = self.socket.send(bytes(self.unsent[: 16 * limits.KIB]))
            except ssl.SSLWantWriteError:
                return
            except ssl.SSLWantReadError:
                return
            del self.unsent[:sent]

    def _receive(self) -> bytes:
        parts: "List[bytes]" = []
        received = 0
        # TLS may hold decrypted bytes that poll cannot see, so read until there are none;
        # yet not for ever, or a flood would starve everything else.
        while received < 16 * _READ or self.socket.pending():
            try:
                data = self.socket.recv(_READ)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLWantWriteError:
                self._wants_to_write = True
                break
            except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
                data = b""
            except OSError:
                # What came before the fault is read first, as the answer of a server that then broke off
                # (Python 3.6 to 3.9 know no end without a goodbye under OpenSSL 3); the fault shows again.
                if not parts:
                    raise
                break
            if not data:
                self.is_at_end = True
                break
            parts.append(data)
            received += len(data)
        return b"".join(parts)

    def close(self) -> None:
        """Drop the connection."""
        self.socket.close()

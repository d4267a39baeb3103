"""From a context to TLS: the address, the credential, and why it failed.

Both transports take their ``ssl.SSLContext`` here: TLS 1.3, the client's
certificate, and as anchors nothing but the CA that the credential names.  The
key is loaded through the descriptor whose owner and mode were checked.
"""

import contextlib
import os
import re
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from jobmon_console.contexts import Context
from jobmon_console.errors import (
    ContextError,
    CredentialFileError,
    CredentialRefusedError,
    CutOffError,
    JobMonError,
    UnreachableError,
)
from jobmon_wire import limits
from jobmon_wire.credential import CredentialError, open_credential, open_private

DEFAULT_PORT = 8443
_URL = re.compile(r"https://([^\s/?#@:\[\]]+|\[[0-9a-fA-F:.]+\])(?::([0-9]{1,5}))?/*")  # urllib.parse costs 4 ms
_ALERT_WITHIN = 1.0  # s; a server that accepts us says nothing, one that refuses does so at once
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))  # s, s, times
_LARGEST_CA = 1024 * 1024  # bytes; the grid's whole bundle of authorities is smaller

# What a server's alert says of this end's certificate, by OpenSSL's reason.
_ALERTS = {
    "CERTIFICATE_EXPIRED": "it has expired",
    "CERTIFICATE_REVOKED": "it was revoked",
    "UNKNOWN_CA": "its issuer is not the one this port trusts",
    "CERTIFICATE_UNKNOWN": "it is not accepted",
    "BAD_CERTIFICATE": "it is damaged or of the wrong kind",
    "UNSUPPORTED_CERTIFICATE": "it is of the wrong kind",
    "CERTIFICATE_REQUIRED": "none was sent",
    "ACCESS_DENIED": "its holder has no access",
    "DECRYPT_ERROR": "its signature is wrong",
}

Ask = Callable[[str], str]  # a question in, a passphrase out


class Link(NamedTuple):
    """Where to connect to, and with what."""

    url: str  # https://host:port
    host: str
    port: int
    tls: ssl.SSLContext


# Contexts whose key had a passphrase, which is asked once a program; and what it was, for the holder.
unlocked: dict[Context, Link] = {}
passphrases: dict[Context, str] = {}


def ask_passphrase(question: str) -> str:
    """Ask the person at the terminal.

    Raises:
        CredentialFileError: there is no terminal, or no answer.
    """
    if not sys.stdin or not sys.stdin.isatty():
        raise CredentialFileError("the private key has a passphrase and there is no terminal to ask at; decrypt it")
    try:
        from jobmon_console import prompt  # it is seldom needed

        return prompt.ask_unseen(question)
    except EOFError:
        raise CredentialFileError("no passphrase was given for the private key; try again") from None


def open_link(context: Context, ask: Ask = ask_passphrase) -> Link:
    """Read the context's credential.

    Args:
        context: from ``load_contexts``.
        ask: called when the private key is encrypted.

    Raises:
        CredentialFileError: a file is missing, others can read it, or it is no credential.
        ContextError: the server's address is none.
    """
    if context in unlocked:
        return unlocked[context]
    asked: list[str] = []

    def passphrase() -> str:
        asked.append(ask(f"Passphrase of {context.credential or context.key}: "))
        return asked[-1]

    try:
        link = _of_file(context, passphrase) if context.credential else _of_parts(context, passphrase)
    except CredentialError as error:
        raise CredentialFileError(str(error)) from None
    except ssl.SSLError as error:
        name = context.credential or context.key
        why = "wrong passphrase" if asked else error.reason or "not PEM"
        raise CredentialFileError(f"cannot use the key and certificate of {name}: {why}; check the file") from None
    if asked:
        unlocked[context], passphrases[context] = link, asked[-1]
    return link


def _of_file(context: Context, passphrase: Callable[[], str]) -> Link:
    descriptor, credential = open_credential(context.credential)
    with _closing(descriptor):
        if credential.role == "job":
            raise CredentialFileError(
                f"{context.credential} is the credential of a job; people use one from: jobmon pki issue"
            )
        path = f"/proc/self/fd/{descriptor}"
        return _link(context, credential.server, credential.server_ca, path, path, passphrase)


def _of_parts(context: Context, passphrase: Callable[[], str]) -> Link:
    try:
        with open(context.ca, encoding="ascii", errors="replace") as file:
            ca = file.read(_LARGEST_CA)
        with open(context.cert, "rb"):
            pass
    except OSError as error:
        raise CredentialFileError(f"cannot read {error.filename}: {error.strerror}; check --cert and --ca") from None
    descriptor, _ = open_private(context.key)
    with _closing(descriptor):
        return _link(context, context.server, ca, context.cert, f"/proc/self/fd/{descriptor}", passphrase)


def _link(context: Context, url: str, ca: str, cert: str, key: str, passphrase: Callable[[], str]) -> Link:
    parts = _URL.fullmatch(url)
    host, port = (parts[1].strip("[]").lower(), int(parts[2] or DEFAULT_PORT)) if parts else ("", 0)
    if not 0 < port < 65536:
        raise ContextError(f"{url!a} is no server's address; write https://HOST:PORT")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        tls.load_verify_locations(cadata=ca)
    except (ssl.SSLError, ValueError):
        name = context.ca or context.credential
        raise CredentialFileError(f"{name} holds no certificate of the server's authority; check the file") from None
    tls.load_cert_chain(cert, key, passphrase)
    shown = f"[{host}]" if ":" in host else host
    return Link(f"https://{shown}:{port}", host, port, tls)


@contextlib.contextmanager
def _closing(descriptor: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(descriptor)


def connect(link: Link) -> ssl.SSLSocket:
    """An open connection, on which nobody has said anything yet.

    Raises:
        JobMonError: see ``explain``.
    """
    try:
        plain = socket.create_connection((_plain(link.host), link.port), limits.CONNECT_TIMEOUT)
        try:
            _keep_alive(plain)
            return link.tls.wrap_socket(plain, server_hostname=_plain(link.host))
        except BaseException:
            plain.close()
            raise
    except OSError as error:
        raise explain(error, link.url) from None


def _plain(host: str) -> Any:
    """The name as it is where it is ASCII: a text would load the tables of international names, 2 ms."""
    return host.encode("ascii") if host.isascii() else host


def _keep_alive(plain: socket.socket) -> None:
    """Notice within half a minute that the other machine is gone, also in a silent follow."""
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        plain.setsockopt(socket.IPPROTO_TCP, option, value)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def examine(error: BaseException, link: Link) -> JobMonError:
    """As ``explain``; and where the connection just broke, connect once more to hear why.

    TLS 1.3: the client is done before the server has judged its certificate.
    A request sent meanwhile makes the server's machine reset the connection,
    and the reset can overtake the alert.  One that sends nothing hears it.
    """
    found = explain(error, link.url)
    is_plain = any(
        isinstance(cause, (ConnectionRefusedError, TimeoutError, socket.gaierror)) for cause in _causes(error)
    )
    if not isinstance(found, UnreachableError) or is_plain:
        return found
    try:
        with (
            socket.create_connection((link.host, link.port), _ALERT_WITHIN) as plain,
            link.tls.wrap_socket(plain, server_hostname=link.host) as secured,
        ):
            secured.recv(1)
    except ssl.SSLError as refused:
        better = _explain_tls(refused, link.url)
        return better if isinstance(better, CredentialRefusedError) else found
    except OSError:
        pass
    return found


def undecided(found: JobMonError, url: str, acts: bool) -> JobMonError:
    """What to say instead once the request was sent: a server that cannot be reached now may have acted on it."""
    if type(found) is not UnreachableError:
        return found
    if not acts:
        return CutOffError(f"{url} broke off its answer; ask again")
    return CutOffError(f"{url} broke off, its outcome is unknown; look at what was asked for before asking again")


def explain(error: BaseException, url: str) -> JobMonError:
    """The sentence for an error of a socket or of TLS, wherever in the chain of causes it is."""
    chain = list(_causes(error))
    for cause in chain:
        if isinstance(cause, JobMonError):
            return cause
        if isinstance(cause, ssl.SSLError):
            return _explain_tls(cause, url)
    if any(isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__ for cause in chain):
        why = "no answer in time"
    else:
        why = next((_system_error(c) for c in chain if isinstance(c, OSError) and c.errno), "the connection broke")
    return UnreachableError(f"cannot reach {url}: {why}; check the network and the server, or run: jobmon doctor")


def _system_error(error: OSError) -> str:
    """What the system says; event loops put their own words there."""
    if isinstance(error, socket.gaierror) or (error.errno or 0) < 0:
        return error.strerror or "no such name"
    return os.strerror(error.errno or 0)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it; a client library wraps a socket's error four deep."""
    todo, seen = [error], set()
    while todo:
        cause = todo.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        if isinstance(cause, BaseExceptionGroup):  # one for each address that was tried
            todo.extend(cause.exceptions)
        todo.extend(link for link in (cause.__cause__, cause.__context__) if link is not None)


def _explain_tls(error: ssl.SSLError, url: str) -> JobMonError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return CredentialRefusedError(
            f"{url} is not the server this credential trusts: {error.verify_message.rstrip('.')};"
            " get a credential of that site, or ask its administrator"
        )
    reason = error.reason or ""
    for alert, why in _ALERTS.items():
        if "ALERT" in reason and reason.endswith(alert):
            return CredentialRefusedError(f"{url} refuses this credential: {why}; get a new one from your site")
    why = reason.lower().replace("_", " ") or "the connection broke"
    return UnreachableError(f"no TLS 1.3 with {url}: {why}; check the address, or run: jobmon doctor")

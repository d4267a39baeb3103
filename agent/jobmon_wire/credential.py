"""Credential files: everything one holder needs, in one private file.

``NAME.jobmon`` is PEM text.  Lines ``Key: value`` on top, then the holder's
certificate, the private key, and the server's CA::

    JobMon credential 1
    Server: https://head.example.org:8443
    ...
    -----BEGIN CERTIFICATE-----           the holder's
    -----BEGIN PRIVATE KEY-----
    -----BEGIN JOBMON SERVER CA-----      what the server must chain to

The server's CA has a PEM label of its own: a TLS library that loads the file
as certificate and key passes it over, and one that loaded the whole file as
trust would find only the holder's own certificate there.
"""

import os
import re
import stat
from typing import Dict, NamedTuple, Tuple

TITLE = "JobMon credential 1"
LARGEST = 64 * 1024  # bytes; a chain of RSA-4096 certificates is 10 KiB
SUFFIX = ".jobmon"

_BLOCK = re.compile("-----BEGIN ([A-Z0-9 ]+)-----\n.*?-----END \\1-----\n?", re.DOTALL)
_SERVER_CA = "JOBMON SERVER CA"


class CredentialError(Exception):
    """The credential cannot be used; the text says why and what to do."""


class Credential(NamedTuple):
    """What a credential file holds."""

    server: str  # URL: the users' port for a person, the agents' port for a job
    role: str  # owner, admin or job
    holder: str  # distinguished name, for people
    job: str  # the job's id, or empty
    uuid: str  # the server's id of the job, or empty
    cluster: str
    certificate: str  # PEM, leaf first
    key: str  # PEM
    server_ca: str  # PEM, as any TLS library reads it

    def text(self) -> str:
        """The file's content."""
        lines = [TITLE] + ["%s: %s" % (key.capitalize(), getattr(self, key)) for key in _HEADERS if getattr(self, key)]
        return "\n".join(lines) + "\n" + self.certificate + self.key + self.server_ca.replace("CERTIFICATE", _SERVER_CA)


_HEADERS = ("server", "role", "holder", "job", "uuid", "cluster")


def parse_credential(content: str, name: str) -> Credential:
    """The credential in a file's content; ``name`` is for the error's sentence.

    Raises:
        CredentialError: it is none.
    """
    if not content.startswith(TITLE + "\n"):
        raise CredentialError("%s is no JobMon credential; expected the first line %r" % (name, TITLE))
    head = content.split("-----BEGIN", 1)[0]
    fields: Dict[str, str] = {}
    for line in head.splitlines()[1:]:
        key, _, value = line.partition(": ")
        fields[key.lower()] = value.strip()
    blocks: Dict[str, str] = {}
    for found in _BLOCK.finditer(content):
        blocks[found.group(1)] = blocks.get(found.group(1), "") + found.group(0).rstrip("\n") + "\n"
    key_label = next((label for label in blocks if label.endswith("PRIVATE KEY")), "")
    missing = [what for what in ("CERTIFICATE", _SERVER_CA) if what not in blocks] + (
        [] if key_label else ["PRIVATE KEY"]
    )
    if missing or not fields.get("server"):
        raise CredentialError("%s is incomplete: no %s; ask for a new one" % (name, (missing + ["Server"])[0]))
    return Credential(
        certificate=blocks["CERTIFICATE"],
        key=blocks[key_label],
        server_ca=blocks[_SERVER_CA].replace(_SERVER_CA, "CERTIFICATE"),
        **{header: fields.get(header, "") for header in _HEADERS},
    )


def open_private(path: str) -> Tuple[int, str]:
    """Open a private file of one's own; give its descriptor and its content.

    The checks are made on the open descriptor, so the file cannot be exchanged
    in between; ``/proc/self/fd/N`` then names the very file that was checked.

    Raises:
        CredentialError: missing, not a regular file with one name, another
            user's, or readable by others.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise CredentialError("cannot open the credential %s: %s; name one with --credential" % (path, error.strerror))
    try:
        _check_private(path, os.fstat(descriptor))
        content = os.pread(descriptor, LARGEST + 1, 0)
        if len(content) > LARGEST:
            raise CredentialError("%s is longer than %d bytes; it is no credential" % (path, LARGEST))
        return descriptor, content.decode("ascii", "replace")
    except BaseException:
        os.close(descriptor)
        raise


def open_credential(path: str) -> Tuple[int, Credential]:
    """Open a credential file; the caller closes the descriptor.

    Raises:
        CredentialError: see ``open_private`` and ``parse_credential``.
    """
    descriptor, content = open_private(path)
    try:
        return descriptor, parse_credential(content, path)
    except BaseException:
        os.close(descriptor)
        raise


def _check_private(path: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise CredentialError("%s is not a regular file; a credential must be one" % path)
    if status.st_uid != os.geteuid():
        raise CredentialError(
            "%s belongs to another user (uid %d); a credential must be your own" % (path, status.st_uid)
        )
    if status.st_mode & 0o077:
        raise CredentialError(
            "others can read %s (mode %04o); run: chmod 600 %s" % (path, stat.S_IMODE(status.st_mode), path)
        )
    if status.st_nlink != 1:
        raise CredentialError("%s has %d names (hard links); a credential must have one" % (path, status.st_nlink))

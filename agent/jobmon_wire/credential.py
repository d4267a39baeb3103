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

from jobmon_wire.envelope import (
    CERTIFICATE,
    LARGEST,
    SERVER_CA,
    SUFFIX,
    TITLE,
    CredentialError,
    key_label,
    open_private,
    read_envelope,
)
from jobmon_wire.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Tuple

__all__ = [
    "LARGEST",
    "SUFFIX",
    "TITLE",
    "Credential",
    "CredentialError",
    "open_credential",
    "open_private",
    "parse_credential",
]


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
        return "\n".join(lines) + "\n" + self.certificate + self.key + self.server_ca.replace(CERTIFICATE, SERVER_CA)


_HEADERS = ("server", "role", "holder", "job", "uuid", "cluster")


def parse_credential(content: str, name: str) -> Credential:
    """The credential in a file's content; ``name`` is for the error's sentence.

    Raises:
        CredentialError: it is none.
    """
    fields, blocks = read_envelope(content, name)
    return Credential(
        certificate=blocks[CERTIFICATE],
        key=blocks[key_label(blocks)],
        server_ca=blocks[SERVER_CA].replace(SERVER_CA, CERTIFICATE),
        **{header: fields.get(header, "") for header in _HEADERS},
    )


def open_credential(path: str) -> "Tuple[int, Credential]":
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

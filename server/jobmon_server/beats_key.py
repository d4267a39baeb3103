"""The site's secret behind sessions by datagram, and what follows from it.

A session's id and secret follow from this secret, the job, its agent, the
certificate and the moment it was opened; so a restarted server knows every
session again, and nobody who has the store alone knows any.
"""

from __future__ import annotations

import os
import secrets
from hashlib import blake2s
from pathlib import Path

from jobmon_server.errors import ServerError
from jobmon_server.jobs import Job
from jobmon_wire import datagrams

SECRET_BYTES = 32


class BeatsError(ServerError):
    """The site's secret for beats cannot be read; one sentence for the operator."""


def derive(secret: bytes, job: Job, fingerprint: str) -> tuple[bytes, bytes]:
    """Id and secret of the session that the job's agent has since ``job.opened``.

    Args:
        secret: the site's.
        fingerprint: of the agent's certificate.
    """
    facts = f"{job.uuid} {job.epoch} {fingerprint} {job.opened:.3f}".encode("ascii")
    session = blake2s(facts, key=secret, person=b"jm1 sess", digest_size=datagrams.SESSION_BYTES).digest()
    return session, blake2s(facts, key=secret, person=b"jm1 secr").digest()


def read_secret(path: Path) -> bytes:
    """The site's secret for sessions; made if the site has none yet.

    Raises:
        BeatsError: it cannot be read or made, or the file holds something else.
    """
    try:
        secret = path.read_bytes() if path.exists() else _make_secret(path)
    except OSError as error:
        raise BeatsError(f"cannot read or make {path}: {error.strerror}; check its owner and mode") from error
    if len(secret) != SECRET_BYTES:
        raise BeatsError(f"{path} holds no secret of {SECRET_BYTES} bytes; remove it, and agents register anew")
    return secret


def _make_secret(path: Path) -> bytes:
    secret = secrets.token_bytes(SECRET_BYTES)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
    return secret

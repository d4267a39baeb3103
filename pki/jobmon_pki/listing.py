"""How the ledger's certificates are shown: tables for people, JSON for scripts.

Every text passes the escaping of names, so nothing that was once put into a
certificate or a reason reaches a terminal as anything but visible characters.
"""

import json
from collections.abc import Iterable, Iterator

from jobmon_pki.ledger import Issued
from jobmon_pki.names import common_name, display, visible
from jobmon_pki.profiles import JOB
from jobmon_wire.moments import write_moment

VALID = "valid"
EXPIRED = "expired"
REVOKED = "revoked"
SERIAL_SHOWN = 12  # hex digits in a table: 48 bits tell a million certificates apart

_COLUMNS = ("SERIAL", "ROLE", "HOLDER", "JOB", "UNTIL", "STATE")


def state(issued: Issued, now: float) -> str:
    """Whether the certificate opens anything at this moment."""
    if issued.revoked_at is not None:
        return REVOKED
    return EXPIRED if now >= issued.identity.not_after else VALID


def table(rows: Iterable[Issued], now: float) -> Iterator[str]:
    """The lines of a table with a heading."""
    lines = [_COLUMNS] + [_line(row, now) for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_COLUMNS))]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def json_line(issued: Issued, now: float) -> str:
    """One object on one line; what is not known is null."""
    return json.dumps(_document(issued, now))


def details(issued: Issued, now: float) -> Iterator[str]:
    """Everything the ledger knows of a certificate, a line each."""
    for key, value in _document(issued, now).items():
        if isinstance(value, list):
            value = " ".join(value)
        if value:
            yield f"{key.replace('_', ' ') + ':':<12} {visible(str(value))}"


def _line(issued: Issued, now: float) -> tuple[str, ...]:
    identity = issued.identity
    holder = issued.owner if identity.role == JOB else display(identity.name)
    until = (write_moment(identity.not_after) or "")[:16] + "Z"
    return identity.serial[:SERIAL_SHOWN], identity.role, holder, visible(issued.job_id), until, state(issued, now)


def _document(issued: Issued, now: float) -> dict[str, str | list[str] | None]:
    identity = issued.identity
    return {
        "serial": identity.serial,
        "role": identity.role,
        "state": state(issued, now),
        "name": display(identity.name),
        "common_name": common_name(identity.name),
        "owner": issued.owner or None,
        "job": issued.job_id or None,
        "uuid": identity.uuid or None,
        "cluster": issued.cluster,
        "clusters": list(identity.clusters),
        "not_before": write_moment(identity.not_before),
        "not_after": write_moment(identity.not_after),
        "issued_at": write_moment(issued.issued_at),
        "issued_by": issued.issued_by,
        "revoked_at": write_moment(issued.revoked_at),
        "why": issued.why or None,
        "fingerprint": identity.fingerprint,
        "key": identity.spki,
    }

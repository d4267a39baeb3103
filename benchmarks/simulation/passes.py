"""The certificates of simulated jobs: real ones, recorded in the site's ledger, each of its own key.

They come from the site's Job CA in processes of this program, as ``jobmon pki
issue-job`` makes them, or through the server's issuing route, as ``jobmon
credential`` asks for them.
"""

import ssl
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from benchmarks.simulation.jobs import Plan
from jobmon_console import calls
from jobmon_console.contexts import Context
from jobmon_console.session import Session
from jobmon_pki import keys
from jobmon_pki.ledger import Ledger
from jobmon_pki.profiles import JOB, Identity, read_identity
from jobmon_pki.site import Site
from jobmon_wire.limits import CREDENTIALS_AT_ONCE

_ROLES = frozenset([JOB])


class Pass(NamedTuple):
    """What a simulated agent shows of its job."""

    number: int  # of the job in its plan, from 0
    identity: Identity
    certificate: bytes  # DER
    key: str  # PEM


def sign(site: Site, plan: Plan, indexes: Iterable[int], processes: int = 1) -> list[Pass]:
    """Passes by the site's own Job CA; about 1 ms of CPU each.

    Raises:
        PkiError: the site cannot sign or record them.
    """
    portions = list(_portions(plan, indexes))
    with ProcessPoolExecutor(processes, initializer=_open, initargs=(site.directory,)) as pool:
        return [one for made in pool.map(_sign, portions) for one in made]


def ask(context: Context, plan: Plan, indexes: Iterable[int]) -> list[Pass]:
    """Passes through the server's issuing route, for jobs of the context's owner.

    Raises:
        JobMonError: the server says no.
    """
    found = []
    with Session(context) as session:
        for _, portion in _portions(plan, indexes):
            made = [keys.new_key() for _ in portion]
            wanted = [(job, keys.request_pem(key, job)) for job, key in zip(portion.values(), made, strict=True)]
            issued = session.fetch(calls.credentials(wanted))["jobs"]
            found += [
                _read(index, one["certificate"], key) for index, one, key in zip(portion, issued, made, strict=True)
            ]
    return found


def _portions(plan: Plan, indexes: Iterable[int]) -> Iterator[tuple[str, dict[int, str]]]:
    """Owners, each with jobs that may be asked for at once: ids by index."""
    for owner, group in groupby(sorted(indexes, key=lambda index: (plan.owner(index), index)), plan.owner):
        portion: dict[int, str] = {}
        for index in group:
            portion[index] = plan.id(index)
            if len(portion) == CREDENTIALS_AT_ONCE:
                yield owner, portion
                portion = {}
        if portion:
            yield owner, portion


class _Desk(NamedTuple):
    """What a process signs with."""

    site: Site
    ledger: Ledger


_desk: _Desk


def _open(directory: Path) -> None:
    global _desk
    site = Site.open(directory)
    _desk = _Desk(site, Ledger(site.ledger_path))


def _sign(portion: tuple[str, dict[int, str]]) -> list[Pass]:
    owner, ids = portion
    made = [keys.new_key() for _ in ids]
    requests = [(job, key.public_key()) for job, key in zip(ids.values(), made, strict=True)]
    name = _desk.site.person_name(owner)
    issued = _desk.site.issue_jobs(name, requests, None, time.time(), "fleet", _desk.ledger)
    return [_read(index, one.certificate_pem, key) for index, one, key in zip(ids, issued, made, strict=True)]


def _read(index: int, pem: str, key: keys.PrivateKey) -> Pass:
    certificate = ssl.PEM_cert_to_DER_cert(pem)
    return Pass(index, read_identity(certificate, _ROLES), certificate, keys.key_pem(key))

"""Access: every route says who may use it, and for what; one corridor enforces it.

A route is an ``Entry`` of a table, and an entry without roles or without a
permission that fits its path cannot be made: the program does not start.  The
corridor reads the peer, finds the job among those the peer may see, asks policy
and calls the handler, which may rely on all of that.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from jobmon_pki.profiles import ROLES
from jobmon_server.bodies import read_body
from jobmon_server.inputs import Input
from jobmon_server.jobs import HearsayError, Job
from jobmon_server.peer import Peer
from jobmon_server.policy import denial, permits
from jobmon_server.refusals import RefusedError, refused
from jobmon_server.state import State
from jobmon_server.store import StoreFullError
from jobmon_wire.documents import DocumentError, read_object, text
from jobmon_wire.limits import LABEL
from jobmon_wire.verbs import (
    EXEC,
    PERMISSIONS,
    SIGNAL,
    VERBS,
    ArgumentError,
    UnknownArgumentError,
    Verb,
    check_arguments,
)

SELF = "self"  # tells the caller only of what is the caller's; touches no job by reference
BY_VERB = "by-verb"  # the permission of the verb in the body

_log = logging.getLogger("jobmon.server")


class DeclarationError(Exception):
    """A route does not say who may use it."""


class Query(NamedTuple):
    """What is asked of a job."""

    verb: Verb
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """A request on its way, with everything that is known of it for sure."""

    state: State
    peer: Peer
    request: Request
    _job: Job | None = None
    _query: Query | None = None
    _input: Input | None = None

    @property
    def job(self) -> Job:
        """The job, which the peer may reach as the entry says."""
        assert self._job is not None
        return self._job

    @property
    def query(self) -> Query:
        """The verb and its checked arguments."""
        assert self._query is not None
        return self._query

    @property
    def input(self) -> Input:
        """What the caller sends while being answered."""
        assert self._input is not None
        return self._input

    async def document(self) -> dict[str, Any]:
        """The body."""
        return read_object(await read_body(self.request.receive))


Handler = Callable[[Asked], Awaitable[Response]]


@dataclass(frozen=True)
class Entry:
    """One route: method, path, who may use it and what it takes."""

    method: str
    path: str
    roles: frozenset[str]
    permission: str  # one of PERMISSIONS, BY_VERB or SELF
    handler: Handler
    verb: str = ""  # under which a refusal is audited, where the route acts; BY_VERB takes the body's

    @property
    def takes_input(self) -> bool:
        """The caller goes on sending while it is answered."""
        return self.verb in VERBS and VERBS[self.verb].takes_input

    def __post_init__(self) -> None:
        has_job = "{job}" in self.path
        if not self.roles or not self.roles <= ROLES:
            raise DeclarationError(f"{self.method} {self.path}: no roles, or unknown ones")
        if self.permission not in ((*PERMISSIONS, BY_VERB) if has_job else (SELF,)):
            raise DeclarationError(f"{self.method} {self.path}: permission {self.permission!r} does not fit the path")
        if self.method not in ("GET", "POST") or (self.permission in (BY_VERB, SIGNAL, EXEC) and self.method != "POST"):
            raise DeclarationError(f"{self.method} {self.path}: what acts is a POST, all else a GET")


async def serve(entry: Entry, state: State, request: Request) -> Response:
    """Take a request down the corridor; what goes wrong becomes a refusal."""
    try:
        return await _serve(entry, state, request)
    except RefusedError as error:
        return error.response()
    except UnknownArgumentError as error:
        return refused("bad-request", f"{error}: the server is older than that option, or it is misspelt")
    except (DocumentError, ArgumentError, HearsayError) as error:
        return refused("bad-request", str(error))
    except StoreFullError as error:
        return refused("store-full", str(error))
    except Exception:  # one request must not end the server; the cause is for the operator alone
        _log.exception("a request failed")
        return refused("internal", "the server failed at this request; its log tells why")


async def _serve(entry: Entry, state: State, request: Request) -> Response:
    peer = request.scope["state"].get("peer")
    if not isinstance(peer, Peer):
        raise RefusedError("credential-refused", "the connection has no identity")
    if peer.role not in entry.roles:
        raise RefusedError("not-permitted", f"this is not for the role {peer.role}")
    asked = Asked(state, peer, request)
    if entry.permission == BY_VERB:
        asked = replace(asked, _query=_read_query(await asked.document()))
    elif entry.takes_input:
        given = Input(request.receive)
        asked = replace(asked, _query=_read_query(await given.opening()), _input=given)
    if entry.permission != SELF:
        asked = replace(asked, _job=await _reach(entry, asked))
    if asked._query and asked._query.verb.takes_input != entry.takes_input:
        name = asked._query.verb.name
        raise RefusedError("bad-request", f"{name} is not asked for at this route; see docs/protocol.md")
    return await entry.handler(asked)


async def _reach(entry: Entry, asked: Asked) -> Job:
    """The job of the path, if the peer may do to it what the entry says."""
    state, peer, query = asked.state, asked.peer, asked._query
    reference = asked.request.path_params["job"]
    verb = query.verb.name if query else entry.verb
    arguments = query.arguments if query else {}
    try:
        job = state.registry.resolve(peer, reference)
    except RefusedError as error:
        if verb and error.code == "no-such-job":
            state.audit.deny(peer, verb, None, arguments, reference)
        raise
    permission = query.verb.permission if query else entry.permission
    shells = state.configuration.shell
    if not permits(peer, permission, job.owner_rdns, job.cluster, shells):
        if verb:
            state.audit.deny(peer, verb, job, arguments, reference)
        raise RefusedError("not-permitted", denial(permission, shells))
    return job


def _read_query(document: dict[str, Any]) -> Query:
    name = text(document, "verb", longest=LABEL)
    verb = VERBS.get(name)
    if verb is None:
        raise RefusedError("bad-request", f"there is no such verb; known are {', '.join(VERBS)}")
    arguments = document.get("arguments", {})
    if not isinstance(arguments, dict):
        raise RefusedError("bad-request", "arguments: an object was expected")
    return Query(verb, check_arguments(verb, arguments))

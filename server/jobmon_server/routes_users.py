"""Routes of the users' port: list, watch, ask, read back.

Who may do what stands in the table at the end; handlers get jobs that the
caller may reach.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Iterator
from typing import Any, NamedTuple

from starlette.responses import Response
from starlette.types import Receive

from jobmon_pki.profiles import PEOPLE
from jobmon_server import audit, events, listing
from jobmon_server.access import BY_VERB, SELF, Asked, Entry
from jobmon_server.answers import Answer
from jobmon_server.channel import MEDIA_TYPE, Channel
from jobmon_server.jobs import Job
from jobmon_server.lines import NDJSON, document, lines
from jobmon_server.listing import Order
from jobmon_server.public import public
from jobmon_server.refusals import RefusedError
from jobmon_server.rows import Event
from jobmon_server.selection import Selection
from jobmon_server.shells import Shell
from jobmon_server.streams import PIECE, StreamResponse, left
from jobmon_server.texts import Texts
from jobmon_server.watch import Watch
from jobmon_wire import PROTOCOL
from jobmon_wire.frames import FrameError
from jobmon_wire.jobs import ENDED, FIELDS
from jobmon_wire.limits import KIB
from jobmon_wire.moments import write_moment
from jobmon_wire.verbs import EXEC, READ, STREAMS, VIEW

REQUEST_BYTES = 16  # bytes of a request's id: nobody guesses one
SLICE = 100  # records encoded at once at first, 1 ms if none is kept; then as many as one write takes
SLICE_MOST = 400  # however short they are: others wait for their turn meanwhile
FULL = PIECE - 4 * KIB  # bytes of a slice: a little more would be two writes

_FIELDS = tuple(field.name for field in FIELDS)


async def whoami(asked: Asked) -> Response:
    """Tell the caller who the server takes them for."""
    state, peer = asked.state, asked.peer
    return _json(
        {
            "name": peer.holder,
            "owner": peer.owner,
            "role": peer.role,
            "clusters": list(peer.clusters),
            "cluster": state.site.cluster,
            "not_after": write_moment(peer.not_after),
            "now": write_moment(state.clock()),
            "version": state.version,
            "protocol": PROTOCOL,
        }
    )


async def jobs(asked: Asked) -> Response:
    """List the caller's jobs, a page of them."""
    state, parameters = asked.state, asked.request.query_params
    limit = _number(asked, "limit", listing.PAGE)
    selection = Selection(parameters.get("select", ""), asked.peer, state.clock)
    order = Order(parameters.get("sort") or listing.NEWEST_FIRST)
    fields = _chosen(parameters.get("fields", ""))
    state.readers.enter(asked.peer)
    try:
        page = await listing.page(state.registry, selection, order, limit, parameters.get("after", ""))
    finally:
        state.readers.leave(asked.peer)
    response = _stream(asked, _records(state.registry.texts, page.jobs, fields))
    response.headers["JobMon-Total"] = str(page.total)
    if page.next:
        response.headers["JobMon-Next"] = page.next
    return response


async def watch(asked: Asked) -> Response:
    """List the caller's jobs and go on telling what changes."""
    state, peer, parameters = asked.state, asked.peer, asked.request.query_params
    selection = Selection(parameters.get("select", ""), peer, state.clock)
    order = Order(parameters.get("sort") or listing.NEWEST_FIRST)
    watching = Watch(state.registry, selection, order, parameters.get("resume", ""), state.clock)
    state.readers.enter(peer)
    state.watches.add(watching)

    async def ending() -> None:
        state.watches.discard(watching)
        state.readers.leave(peer)

    return StreamResponse(watching.lines(), NDJSON, ending)


async def job(asked: Asked) -> Response:
    """Tell everything that is known of a job."""
    registration, report = await asked.state.store.details(asked.job.uuid)
    return _json({**public(asked.job), "registration": registration, "end": report})


class Dialogue(NamedTuple):
    """A request that was sent to a job's agent."""

    channel: Channel
    answer: Answer
    row: int  # of the audit

    async def end(self, asked: Asked) -> None:
        """However it came to its end."""
        self.channel.cancel(self.answer)
        asked.state.readers.leave(asked.peer)
        asked.state.audit.finish(self.row, self.answer.outcome)


async def query(asked: Asked) -> Response:
    """Ask a job's agent, and pass its answer on as it comes."""
    dialogue = await _ask(asked)
    return StreamResponse(_relay(dialogue.answer), MEDIA_TYPE, lambda: dialogue.end(asked))


async def shell(asked: Asked) -> Response:
    """Open a shell beside a job: its answer goes to the caller, what the caller types to it."""
    state, peer, job = asked.state, asked.peer, asked.job
    dialogue = await _ask(asked)
    channel, answer, _ = dialogue
    open_shell = Shell(peer, job, channel, answer)
    state.shells.enter(open_shell)

    async def listen(receive: Receive) -> None:
        try:
            async for frame in asked.input.typed():
                channel.type(answer, frame)
        except FrameError as error:
            channel.cancel(answer, "bad-request", f"what was typed is not what the protocol says: {error}")
        await left(receive)

    async def ending() -> None:
        await dialogue.end(asked)
        state.shells.leave(open_shell)
        text = f"shell by {peer.holder} ended: {answer.outcome}"
        state.events.note(Event(job.uuid, state.clock(), events.REQUEST, text))

    return StreamResponse(_relay(answer), MEDIA_TYPE, ending, listen)


async def output(asked: Asked) -> Response:
    """Give the last output of a job that has ended."""
    state, job = asked.state, asked.job
    stream = asked.request.query_params.get("stream", "stdout")
    if stream not in STREAMS:
        raise RefusedError("bad-request", f"stream: one of {' '.join(STREAMS)} was expected")
    row = await state.audit.begin(asked.peer, "output", job, {"stream": stream})
    kept = state.store.last_words(job.uuid, stream) if job.state == ENDED else None
    if kept is None:
        state.audit.finish(row, "bad-request")
        raise RefusedError("bad-request", f"the job's end is not known, it is {job.state}; ask it with tail or cat")
    state.audit.finish(row, "done")
    total = len(kept.data) if kept.total is None else max(kept.total, len(kept.data))
    headers = {"JobMon-Output-Start": str(total - len(kept.data)), "JobMon-Output-Bytes": str(total)}
    other = state.store.last_words(job.uuid, next(name for name in STREAMS if name != stream))
    if other is not None and other != kept:  # `2>&1`: both are one file
        headers["JobMon-Other-Bytes"] = str(max(other.total or 0, len(other.data)))
    return Response(kept.data, media_type="application/octet-stream", headers=headers)


async def log(asked: Asked) -> Response:
    """Tell what happened to a job, and with ``follow`` what happens until its end."""
    state, peer, job = asked.state, asked.peer, asked.job
    is_followed = asked.request.query_params.get("follow", "0") in ("1", "true")
    state.readers.enter(peer)

    def is_over() -> bool:
        return not is_followed or job.state == ENDED or state.registry.get(job.uuid) is not job

    async def parts() -> AsyncGenerator[bytes]:
        async for records in state.events.follow(job.uuid, is_over):
            yield lines(records)

    async def ending() -> None:
        state.readers.leave(peer)

    return StreamResponse(parts(), NDJSON, ending)


async def trail(asked: Asked) -> Response:
    """Tell who did what, as far as the caller may know."""
    reference = asked.request.query_params.get("job")
    job = asked.state.registry.resolve(asked.peer, reference) if reference else None
    limit = _number(asked, "limit", audit.LIMIT)
    return _rows(asked, await asked.state.audit.rows(asked.peer, job, limit))


async def credentials(asked: Asked) -> Response:
    """Issue credentials for jobs of the caller's."""
    return _json(await asked.state.credentials.issue(asked.peer, await asked.document()))


async def _ask(asked: Asked) -> Dialogue:
    """Write the request down, then send it to the job's agent."""
    state, peer, (verb, arguments) = asked.state, asked.peer, asked.query
    state.readers.enter(peer)
    try:
        request = secrets.token_bytes(REQUEST_BYTES)
        row = await state.audit.begin(peer, verb.name, asked.job, arguments, request.hex())
        try:
            channel = await state.exchange.reach(asked.job)
            return Dialogue(channel, channel.ask(request, verb, arguments), row)
        except RefusedError as error:
            state.audit.finish(row, error.code)
            raise
    except BaseException:
        state.readers.leave(peer)
        raise


async def _relay(answer: Answer) -> AsyncGenerator[bytes]:
    while part := await answer.take():
        yield part
        answer.took()


def _chosen(text: str) -> tuple[str, ...]:
    """The fields of a list, each once; none: every field."""
    fields = tuple(dict.fromkeys(text.split(","))) if text else ()
    if unknown := [name for name in fields if name not in _FIELDS]:
        raise RefusedError("bad-request", f"fields: no {unknown[0]!a:.80}; known are {' '.join(_FIELDS)}")
    return fields


def _records(texts: Texts, jobs: list[Job], fields: tuple[str, ...]) -> Iterator[bytes]:
    """The jobs' records as NDJSON, in slices of about what is written at once."""
    start, size = 0, SLICE
    while part := jobs[start : start + size]:
        text = b"\n".join([*texts.of(part, fields), b""])
        yield text
        start += size
        size = max(1, min(SLICE_MOST, FULL * len(part) // len(text)))


def _json(value: Any) -> Response:
    return Response(document(value), media_type="application/json")


def _rows(asked: Asked, slices: Iterator[list[dict[str, Any]]]) -> Response:
    return _stream(asked, map(lines, slices))


def _stream(asked: Asked, slices: Iterator[bytes]) -> StreamResponse:
    """NDJSON in slices, so that others have their turn in between."""
    asked.state.readers.enter(asked.peer)

    async def parts() -> AsyncGenerator[bytes]:
        for text in slices:
            yield text

    async def ending() -> None:
        asked.state.readers.leave(asked.peer)

    return StreamResponse(parts(), NDJSON, ending)


def _number(asked: Asked, name: str, default: int) -> int:
    value = asked.request.query_params.get(name)
    if value is None:
        return default
    if not (value.isascii() and value.isdigit() and 0 < len(value) <= 9 and int(value) > 0):
        raise RefusedError("bad-request", f"{name}: a number from 1 was expected")
    return int(value)


ROUTES = (
    Entry("GET", "/v1/whoami", PEOPLE, SELF, whoami),
    Entry("GET", "/v1/jobs", PEOPLE, SELF, jobs),
    Entry("GET", "/v1/jobs/watch", PEOPLE, SELF, watch),
    Entry("GET", "/v1/jobs/{job}", PEOPLE, VIEW, job),
    Entry("POST", "/v1/jobs/{job}/query", PEOPLE, BY_VERB, query),
    Entry("POST", "/v1/jobs/{job}/shell", PEOPLE, EXEC, shell, verb="shell"),
    Entry("GET", "/v1/jobs/{job}/output", PEOPLE, READ, output, verb="output"),
    Entry("GET", "/v1/jobs/{job}/log", PEOPLE, VIEW, log),
    Entry("GET", "/v1/audit", PEOPLE, SELF, trail),
    Entry("POST", "/v1/credentials", PEOPLE, SELF, credentials),
)

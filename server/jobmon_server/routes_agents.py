"""Routes of the agents' port: an agent registers, renews its certificate, opens its channel, tells of the end.

An agent speaks of one job, the one its certificate names.
"""

from __future__ import annotations

from starlette.responses import Response

from jobmon_pki.profiles import JOB
from jobmon_server.access import SELF, Asked, Entry
from jobmon_server.channel import ChannelResponse
from jobmon_server.lines import document
from jobmon_wire.records import TCP, EndReport, Registration


async def register(asked: Asked) -> Response:
    """Take an agent's registration."""
    said = Registration.read(await asked.document())
    answer = await asked.state.sessions.register(asked.peer, said)
    return Response(document(answer.document()), media_type="application/json")


async def renew(asked: Asked) -> Response:
    """Give the agent that has registered on this connection a new certificate for its key."""
    job = asked.state.sessions.speaks_for(asked.peer)
    answer = await asked.state.renewals.renew(asked.peer, job, await asked.document())
    return Response(document(answer), media_type="application/json")


async def channel(asked: Asked) -> Response:
    """Open the exchange of frames."""
    return ChannelResponse(asked.state.sessions.open_channel(asked.peer))


async def end(asked: Asked) -> Response:
    """Take the end of the job; it is written down when this answers."""
    await asked.state.sessions.end(asked.peer, EndReport.read(await asked.document()))
    return Response(status_code=204)


async def trial(asked: Asked) -> Response:
    """Let a node try datagrams; nothing is learned of the job."""
    state = asked.state
    told = state.beats.begin_trial(asked.peer.fingerprint) if state.configuration.callback != TCP else None
    answer = {"beats": told.document() if told else None}
    return Response(document(answer), media_type="application/json")


_JOBS = frozenset([JOB])

ROUTES = (
    Entry("POST", "/v1/register", _JOBS, SELF, register),
    Entry("POST", "/v1/renew", _JOBS, SELF, renew),
    Entry("POST", "/v1/channel", _JOBS, SELF, channel),
    Entry("POST", "/v1/end", _JOBS, SELF, end),
    Entry("POST", "/v1/trial", _JOBS, SELF, trial),
)

"""The applications behind the two ports, built from the tables of routes.

A path without a job in it is found at once, all else by Starlette's router: that
passes each request through ten frames, a third of what a registration costs.
Each request has passed its port's door: ``scope["state"]["peer"]`` says who
sent it.  An application without that answers nobody.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from jobmon_server import routes_agents, routes_users
from jobmon_server.access import Entry, serve
from jobmon_server.refusals import refused
from jobmon_server.state import State


def build(state: State) -> tuple[ASGIApp, ASGIApp]:
    """The applications of the users' and of the agents' port."""
    return _Application(state, routes_users.ROUTES), _Application(state, routes_agents.ROUTES)


class _Application:
    """The routes of one port."""

    def __init__(self, state: State, entries: Iterable[Entry]) -> None:
        self._state = state
        entries = tuple(entries)
        self._plain = {(entry.method, entry.path): entry for entry in entries if "{" not in entry.path}
        self._others = _starlette(state, entries)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        entry = self._plain.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if entry is None:
            await self._others(scope, receive, send)
            return
        response = await serve(entry, self._state, Request(scope, receive, send))
        await response(scope, receive, send)


def _starlette(state: State, entries: Iterable[Entry]) -> Starlette:
    application = Starlette(
        routes=[_route(state, entry) for entry in entries],
        exception_handlers={HTTPException: _no_route},
    )
    application.router.redirect_slashes = False
    return application


def _route(state: State, entry: Entry) -> Route:
    async def endpoint(request: Request) -> Response:
        return await serve(entry, state, request)

    route = Route(entry.path, endpoint, methods=[entry.method])
    # A stream without end has no HEAD.
    route.methods = {entry.method}
    return route


async def _no_route(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == 405:
        return refused("method-not-allowed", "this route has another method")
    return refused("no-such-route", "there is no such route")

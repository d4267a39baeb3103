"""The applications behind the two ports, built from the tables of routes.

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

from jobmon_server import routes_agents, routes_users
from jobmon_server.access import Entry, serve
from jobmon_server.refusals import refused
from jobmon_server.state import State


def build(state: State) -> tuple[Starlette, Starlette]:
    """The applications of the users' and of the agents' port."""
    return _application(state, routes_users.ROUTES), _application(state, routes_agents.ROUTES)


def _application(state: State, entries: Iterable[Entry]) -> Starlette:
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

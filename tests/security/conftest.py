"""What the server's tests run on serves its security tests too; and a port with nothing behind it but a notebook."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jobmon_pki.profiles import ADMIN, OWNER
from jobmon_pki.site import Site
from jobmon_server.configuration import Address
from jobmon_server.doors import Door
from jobmon_server.ports import Port, bind
from jobmon_server.tls import TLSFiles
from tests.security.backend import Backend
from tests.server.conftest import contexts, desk, house, server, site
from tests.server.house import NoDenials
from tests.server.running import client_context, person_credential

__all__ = ["contexts", "desk", "house", "server", "site"]


@pytest.fixture
def backend() -> Backend:
    """Nothing has reached it."""
    return Backend()


@pytest.fixture
async def port(site: Site, backend: Backend) -> AsyncIterator[Port]:
    """The users' port before the backend."""
    files = TLSFiles(site.server_certificate, site.server_key, site.people_ca)
    port = Port(bind(Address("127.0.0.1", 0)), files, Door((OWNER, ADMIN), NoDenials()))
    await port.open(backend)
    yield port
    await port.close(1.0)


@pytest.fixture
def alice(site: Site, desk: Path) -> ssl.SSLContext:
    """What alice connects with."""
    return client_context(person_credential(site, "alice"), site.server_ca_pem(), desk)

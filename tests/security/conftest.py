"""What the server's tests run on serves its security tests too."""

from tests.server.conftest import contexts, desk, house, server, site

__all__ = ["contexts", "desk", "house", "server", "site"]

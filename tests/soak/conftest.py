"""The agent's fixtures: real Pythons, a real server, real agents."""

from tests.agent.conftest import (  # noqa: F401
    credential,
    launcher,
    mode,
    pythons,
    pyz,
    server,
    site,
    tree,
    until,
)

"""Worker nodes for a server inside the test: jobs under the real agent."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

from jobmon_pki.credential_files import write_credential
from jobmon_wire.credential import Credential
from tests.agent.conftest import Launcher
from tests.server.house import PATIENCE, House, until


class RealJob:
    """A job that sleeps, under the real agent."""

    def __init__(self, uuid: str, path: Path, process: "subprocess.Popen[bytes]", launcher: Launcher) -> None:
        self.uuid = uuid
        self.path = path  # of the credential
        self.process = process
        self.launcher = launcher


class Nodes:
    """Starts jobs under the real agent."""

    def __init__(self, tree: Path, directory: Path) -> None:
        self._tree = tree
        self._directory = directory

    @contextlib.asynccontextmanager
    async def job(self, house: House, credential: Credential, python: Path) -> AsyncIterator[RealJob]:
        """A job whose agent has registered."""
        path = self._directory / "job.jobmon"
        write_credential(path, credential._replace(server=f"https://127.0.0.1:{house.agents}"))
        launcher = Launcher(self._tree, path, self._directory / "sandbox")
        process = launcher.start(launcher.line(python, "sleep", "600"), stderr=subprocess.DEVNULL)
        try:
            await until(lambda: house.state.registry.get(credential.uuid), 2 * PATIENCE)
            yield RealJob(credential.uuid, path, process, launcher)
        finally:
            await asyncio.to_thread(launcher.clean)

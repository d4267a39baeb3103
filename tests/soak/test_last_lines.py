"""A thousand jobs end while they are followed, each right after its last line: the line and the exit are always seen.

Through whole agents and real TLS.  One in four jobs leaves the last line to a
process that outlives it a little, as a pipe's other end does.
"""

from __future__ import annotations

import os
import random
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from jobmon_pki.credential_files import write_credential
from jobmon_wire import frames
from tests.agent.conftest import Launcher, Server, wait_for

ENDINGS = int(os.environ.get("JOBMON_SOAK_ENDINGS", "1000"))
PING = 5.0  # s; on a busy machine no channel shall be given up for lost
LANES = 4  # at a time; each job waits more than it computes
STATUS = 7
LAST = b"the last words\n"
# Seconds between the first line and the last, and the last and the end.
JOB = 'read pause; sleep "$pause"; echo first; {}; exit 7'
LINES = ("echo the last words", "{ sleep 0.05; echo the last words; } & true")


class Lane:
    """One job at a time, each followed over a server of the lane's own."""

    def __init__(self, site: Any, tree: Path, directory: Path) -> None:
        directory.mkdir()
        self.server = Server(site)
        self.server.ping = PING
        [made] = site.issue_job_credentials(site.person_name("alice"), ["job-1"], 86400.0, time.time())
        credential = directory / "job-1.jobmon"
        write_credential(credential, made._replace(server=f"https://127.0.0.1:{self.server.port}"))
        self.launcher = Launcher(tree, credential, directory / "job")
        self._count = 0

    def end_one(self, python: Path, mode: str, line: str, pause: float) -> tuple[bytes, list[str], Any, int]:
        """What a follow of one job's stdout saw: bytes, the notes' kinds, the exit it told; and the true status."""
        command = self.launcher.line(python, "sh", "-c", JOB.format(line), mode=mode)
        with open(self.launcher.directory / "out", "wb") as out:
            job = self.launcher.start(command, stdin=subprocess.PIPE, stdout=out)
        channel = self.server.channel(self._count)
        self._count += 1
        request = channel.ask("tail", follow=True)
        wait_for(lambda: channel.of(request))
        job.communicate(b"%f\n" % pause)
        channel.end_of(request)
        frames_ = channel.of(request)
        notes = [frame.document() for frame in frames_ if frame.type == frames.NOTE]
        data = b"".join(frame.payload for frame in frames_ if frame.type == frames.DATA)
        return data, [note["kind"] for note in notes], notes[-1].get("exit"), job.returncode

    def close(self) -> None:
        self.launcher.clean()
        self.server.stop()


@pytest.mark.parametrize("mode", ["--exec", "--wrap"])
def test_the_last_line_of_a_followed_job_is_always_seen(
    site: Any, tree: Path, pythons: list[Path], tmp_path: Path, mode: str
) -> None:
    lanes = [Lane(site, tree, tmp_path / f"lane-{number}") for number in range(LANES)]
    free, chance, guard = list(lanes), random.Random(21), threading.Lock()
    asked = [
        (pythons[number % len(pythons)], mode, LINES[not number % 4], chance.choice([0.0, chance.uniform(0, 0.05)]))
        for number in range(ENDINGS // 2)
    ]

    def end_one(question: tuple[Path, str, str, float]) -> tuple[bytes, list[str], Any, int]:
        with guard:
            lane = free.pop()
        try:
            return lane.end_one(*question)
        finally:
            free.append(lane)

    try:
        with ThreadPoolExecutor(LANES) as pool:
            found = list(pool.map(end_one, asked))
    finally:
        for lane in lanes:
            lane.close()

    assert len(found) == ENDINGS // 2
    for question, (data, kinds, told, status) in zip(asked, found, strict=True):
        assert data == b"first\n" + LAST, question
        assert kinds[-1] == "ended", question
        assert (status, told["code"]) == (STATUS, STATUS) or told["source"] == "unknown", question
    print(
        f"\n{len(found)} endings in {mode} mode, {sum(told['code'] == STATUS for _, _, told, _ in found)} with status"
    )

"""Job credentials are made here and signed there; `jobmon run` becomes the command it runs."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobmon_pki import names
from jobmon_pki.keys import read_request
from jobmon_pki.site import Site
from jobmon_wire.credential import open_credential
from jobmon_wire.documents import write_document
from jobmon_wire.moments import write_moment

Run = Callable[..., Any]


@pytest.fixture
def issuer(fake: Any, console_site: Site) -> Any:
    """A server that signs what it is asked to, as alice asks."""
    owner = names.parse("/DC=org/DC=example/O=Example/OU=People/CN=alice")

    def answer(handler: Any) -> None:
        asked = json.loads(fake.asked[-1][1])
        wanted = [(job["id"], read_request(job["request"])) for job in asked["jobs"]]
        issued = console_site.issue_jobs(owner, wanted, asked.get("lifetime"), time.time(), "alice")
        rows = [
            {
                "id": job.job_id,
                "uuid": job.uuid,
                "holder": job.holder,
                "cluster": "caf",
                "certificate": job.certificate_pem,
                "not_after": write_moment(job.not_after),
            }
            for job in issued
        ]
        # Nobody listens at the agents' address: a job must run all the same.
        answered = {"agents": "https://localhost:1", "server_ca": console_site.server_ca_pem(), "jobs": rows}
        body = write_document(answered)
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    fake.routes["POST /v1/credentials"] = answer
    return fake


@pytest.fixture
def environ(issuer: Any, context: Any, clean_environment: None, tmp_path: Path) -> Iterator[dict[str, str]]:
    (tmp_path / "tmp").mkdir()
    yield {
        **os.environ,
        "JOBMON_CREDENTIAL": context.credential,
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "TMPDIR": str(tmp_path / "tmp"),
    }
    until = time.monotonic() + 10
    while (left := _agents(str(tmp_path))) and time.monotonic() < until:
        # They would go on for minutes, to report an end that nobody takes.
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _agents(directory: str) -> list[int]:
    """The agents that run from a directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if any(word.startswith(os.fsencode(directory)) and word.endswith(b".pyz") for word in words):
                found.append(int(path.parent.name))
    return found


def run_job(environ: dict[str, str], *command: str) -> subprocess.CompletedProcess[bytes]:
    words = [sys.executable, "-m", "jobmon_console.cli.main", "run", "--id", "4711", "--", *command]
    # Killed agents leave their job's progress file: in a directory of the test's, not in the checkout.
    return subprocess.run(words, cwd=environ["TMPDIR"], env=environ, capture_output=True, timeout=60, check=False)


def test_credentials_are_written_for_the_jobs_alone(at_fake: Run, issuer: Any, tmp_path: Path) -> None:
    out = tmp_path / "jobs"

    result = at_fake("credential", "--id", "4711", "4712", "--id", "4713", "--out", str(out), "--lifetime", "12h")

    assert result.status == 0, result.err
    assert result.text.splitlines() == [str(out / f"{n}.jobmon") for n in (4711, 4712, 4713)]
    assert "submit script" in result.err
    assert json.loads(issuer.asked[-1][1])["lifetime"] == 43200
    keys = set()
    for n in (4711, 4712, 4713):
        descriptor, credential = open_credential(str(out / f"{n}.jobmon"))
        os.close(descriptor)
        assert (credential.role, credential.job, credential.server) == ("job", str(n), "https://localhost:1")
        assert credential.holder.endswith(f"/CN=alice/CN={n}")
        assert "PRIVATE KEY" not in issuer.asked[-1][1].decode(), "keys never travel"
        keys.add(credential.key)
    assert len(keys) == 3


def test_a_credential_that_is_there_is_not_replaced(at_fake: Run, issuer: Any, tmp_path: Path) -> None:
    (tmp_path / "4711.jobmon").write_text("precious")

    result = at_fake("credential", "--id", "4711", "--out", str(tmp_path))

    assert (result.status, (tmp_path / "4711.jobmon").read_text()) == (2, "precious")
    assert issuer.asked == []


@pytest.mark.parametrize(
    ("script", "status"), [("exit 0", 0), ("exit 3", 3), ("kill -TERM $$", -15), ("kill -KILL $$", -9)]
)
def test_run_exits_as_its_command_did(environ: dict[str, str], tmp_path: Path, script: str, status: int) -> None:
    done = run_job(environ, "sh", "-c", f"echo out; echo err >&2; {script}")

    assert (done.returncode, done.stdout) == (status, b"out\n")
    assert b"err\n" in done.stderr


def credentials_in(directory: Path) -> list[str]:
    """Names of credential files; unlike a glob, a walk may meet directories that go meanwhile."""
    return [name for _, _, names in os.walk(directory) for name in names if name.endswith(".jobmon")]


def test_run_leaves_no_credential_and_no_child_of_the_job(environ: dict[str, str], tmp_path: Path) -> None:
    script = "import os\ntry: print(os.waitpid(-1, os.WNOHANG))\nexcept ChildProcessError: print('no child')"

    done = run_job(environ, sys.executable, "-c", script)

    assert done.stdout == b"no child\n"
    until = time.monotonic() + 10
    while (left := credentials_in(tmp_path / "tmp")) and time.monotonic() < until:
        time.sleep(0.02)
    assert left == []
    assert len(list((tmp_path / "cache" / "jobmon").glob("jobmond-*.pyz"))) == 1


def test_run_of_nothing_that_can_be_run_is_127_as_in_a_shell(environ: dict[str, str]) -> None:
    assert run_job(environ, "/nonexistent/command").returncode == 127


def test_the_agent_is_written_with_its_hash(jobmon: Run, tmp_path: Path) -> None:
    import hashlib

    out = tmp_path / "jobmond.pyz"

    result = jobmon("agent", "--out", str(out))

    assert result.text == f"{hashlib.sha256(out.read_bytes()).hexdigest()}  {out}\n"

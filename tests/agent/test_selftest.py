"""``--self-test`` says what works on this node, tries it out, and starts nothing."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from jobmon_pki.credential_files import write_credential
from jobmon_pki.names import parse
from jobmon_pki.site import Site
from jobmon_wire.credential import parse_credential

SUBJECTS = ["python", "exit status", "signals", "/proc", "cgroup", "inotify", "tls", "blake2", "output", "batch"]
LINE = re.compile(r"(ok|less|bad) +((?:[a-z0-9/]| (?! ))+)  +(\S.*)")


class Told:
    """What a self-test printed."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        self.lines = {}
        for line in text.splitlines():
            matched = LINE.fullmatch(line)
            assert matched, line
            self.lines[matched[2].strip()] = (matched[1], matched[3])


@pytest.fixture
def self_test(pyz: Path, tmp_path: Path) -> Any:
    """Run a self-test in a directory of its own."""

    def run(python: Path, *words: str, output: Any = subprocess.PIPE, **environment: str) -> Told:
        directory = tmp_path / "node"
        directory.mkdir(exist_ok=True)
        done = subprocess.run(
            [python, "-I", "-S", str(pyz), "--self-test", *words],
            cwd=directory,
            env={"PATH": os.environ["PATH"], **environment},
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        assert list(directory.iterdir()) == []
        return Told(done.returncode, done.stdout or "")

    return run


def test_a_node_on_which_all_works_is_told_so_and_the_server_learns_nothing(
    self_test: Any, server: Any, bell: Any, credential: Path, python: Path
) -> None:
    server.refusals.append((400, ""))

    told = self_test(python, "--credential", str(credential))

    assert told.status == 0
    assert list(told.lines) == [*SUBJECTS, "server", "datagrams", "memory"]
    assert not [line for line in told.lines.values() if line[0] == "bad"]
    assert re.search(r"its own byte code \(cp3\d+\)", told.lines["python"][1])
    assert told.lines["server"] == ("ok", f"127.0.0.1:{server.port} takes the credential of job job-1")
    port = bell.socket.getsockname()[1]
    assert re.fullmatch(rf"UDP port {port} answers in \d+ ms, so .*", told.lines["datagrams"][1])
    assert server.registrations == []
    assert server.ends == []


@pytest.mark.parametrize("fault", ["silent", "forged", "closed", "tcp", "old"])
def test_datagrams_that_do_not_pass_are_told_and_are_no_fault(
    self_test: Any, server: Any, bell: Any, credential: Path, old_or_new: Path, fault: str
) -> None:
    port = bell.socket.getsockname()[1]
    server.refusals.append((400, ""))
    if fault == "silent":
        bell.answers = False
    elif fault == "forged":
        tell = bell.told

        def tell_and_forge(certificate: bytes) -> Any:
            answer = tell(certificate)
            bell._ends._own = bytes(32)  # the key of what is sent back
            return answer

        bell.told = tell_and_forge
    elif fault == "closed":
        told = bell.told(b"")
        bell.told = lambda certificate: told
        bell.close()
    elif fault == "tcp":
        bell.told = lambda certificate: None
    else:
        server.refusals.append((404, ""))

    told = self_test(old_or_new, "--credential", str(credential))

    level, sentence = told.lines["datagrams"]
    assert (told.status, level) == (0, "less")
    expected = {"tcp": "the server takes none", "old": "not tried: the server is too old"}
    assert sentence.startswith(expected.get(fault, f"none comes back from UDP port {port}: a firewall"))


def test_a_credential_that_the_server_refuses_is_told(
    self_test: Any, server: Any, credential: Path, old_or_new: Path
) -> None:
    server.refusals.append((401, ""))

    told = self_test(old_or_new, JOBMON_CREDENTIAL=str(credential))

    assert (told.status, told.lines["server"][0]) == (1, "bad")
    assert "answers, but does not take this credential" in told.lines["server"][1]


def test_a_server_that_is_down_is_told_with_the_reason(
    self_test: Any, server: Any, credential: Path, old_or_new: Path
) -> None:
    server.stop()

    told = self_test(old_or_new, "--credential", str(credential))

    assert told.status == 1
    why = f"https://127.0.0.1:{server.port} cannot be used: Connection refused"
    assert told.lines["server"] == ("bad", why)


def test_another_site_s_server_and_another_site_s_credential_are_told(
    self_test: Any, server: Any, credential: Path, tmp_path: Path, old_or_new: Path
) -> None:
    url = f"https://127.0.0.1:{server.port}"
    other = Site.create(tmp_path / "other", ["127.0.0.1"], "x", parse("/DC=org/DC=other"), url, url, time.time())
    [made] = other.issue_job_credentials(other.person_name("mallory"), ["job-1"], 3600.0, time.time())
    write_credential(tmp_path / "distrusts.jobmon", made)
    trust = parse_credential(credential.read_text(), "ours").server_ca
    write_credential(tmp_path / "distrusted.jobmon", made._replace(server_ca=trust))

    distrusts = self_test(old_or_new, "--credential", str(tmp_path / "distrusts.jobmon"))
    distrusted = self_test(old_or_new, "--credential", str(tmp_path / "distrusted.jobmon"))

    assert (distrusts.status, distrusted.status) == (1, 1)
    assert "certificate" in distrusts.lines["server"][1]
    assert re.search("unknown ca|does not take this credential", distrusted.lines["server"][1])


def test_a_node_without_a_credential_is_examined_all_the_same(self_test: Any, old_or_new: Path) -> None:
    told = self_test(old_or_new)

    assert (told.status, told.lines["server"][0]) == (0, "less")
    assert told.lines["datagrams"][0] == "less"
    assert told.lines["datagrams"][1].endswith("name one with --credential")


def test_a_credential_that_others_can_read_is_told(self_test: Any, credential: Path, old_or_new: Path) -> None:
    credential.chmod(0o644)

    told = self_test(old_or_new, "--credential", str(credential))

    assert (told.status, told.lines["server"][0]) == (1, "bad")
    assert "chmod 600" in told.lines["server"][1]


def test_it_tells_a_file_from_a_pipe_and_a_batch_system_from_none(
    self_test: Any, tmp_path: Path, old_or_new: Path
) -> None:
    with open(tmp_path / "out", "w") as out:
        self_test(old_or_new, output=out, SLURM_JOB_ID="4711")
    in_file = Told(0, (tmp_path / "out").read_text())

    in_pipe = self_test(old_or_new)

    assert (in_file.lines["output"][0], in_pipe.lines["output"][0]) == ("ok", "less")
    assert in_file.lines["batch"][1] == "this is a job of slurm, id 4711"
    assert "no batch system" in in_pipe.lines["batch"][1]


def test_a_python_that_must_compile_the_source_is_told(self_test: Any, pyz: Path, python: Path, tmp_path: Path) -> None:
    told = subprocess.run(
        [
            python,
            "-I",
            "-S",
            "-c",
            "import sys; sys.path.insert(0, sys.argv[1]); "
            "from jobmon_agent.launch import main; sys.exit(main(['--self-test']))",
            str(pyz),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (told.returncode, told.stderr) == (0, "")
    assert Told(0, told.stdout).lines["python"][0] == "less"


def test_the_memory_told_is_no_less_than_an_idle_agent_takes(
    self_test: Any, launcher: Any, server: Any, pyz: Path, python: Path
) -> None:
    launcher.agent = pyz
    launcher.start(launcher.line(python, "sleep", "30"))
    server.channel()
    agents = launcher.agents()
    [idle] = [pid for pid in agents if _status(pid, "PPid") not in agents]

    text = self_test(python).lines["memory"][1]

    figure = float(re.search(r"less than ([\d.]+) MB", text)[1])  # type: ignore[index]
    taken = _status(idle, "VmRSS") / 1024
    assert taken - 0.3 < figure < taken + 3


def _status(pid: int, name: str) -> int:
    return int(re.search(rf"{name}:\s*(\d+)", Path(f"/proc/{pid}/status").read_text())[1])  # type: ignore[index]


def test_it_fails_where_the_agent_has_no_proc(self_test: Any, pyz: Path, old_or_new: Path) -> None:
    script = 'umount -l /proc && exec "$@"'
    line = ["unshare", "-m", "sh", "-c", script, "sh", str(old_or_new), "-I", "-S", str(pyz), "--self-test"]
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("only root may take /proc away from a process of its own")

    done = subprocess.run(line, capture_output=True, text=True, check=False)

    told = Told(done.returncode, done.stdout)
    assert (told.status, told.lines["/proc"][0]) == (1, "bad")
    assert len(told.lines) == len(SUBJECTS) + 3

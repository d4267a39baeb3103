"""The agent never harms a job: killed, starved, broken or cut off, the job runs and ends as it would bare."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from jobmon_pki.credential_files import write_credential
from jobmon_pki.names import parse
from jobmon_pki.site import Site
from tests.agent.killing import kill_agents_during

NOBODY = 65534  # a user who is not root, on every Linux
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="to make namespaces and mounts needs root")


def test_a_pipeline_ends_with_the_job_although_the_agent_lives(launcher: Any, server: Any, mode: str) -> None:
    server.stop()  # so that the agent stays to tell the end
    line = launcher.line(None, "sh", "-c", "echo all", mode=mode)

    start = time.monotonic()
    output = launcher.run(["sh", "-c", '"$@" | cat', "sh", *line])[1]

    assert output == b"all\n"
    assert time.monotonic() - start < 10
    assert launcher.agents()


@pytest.mark.promise(14)
def test_a_job_does_not_notice_when_its_agent_is_killed(launcher: Any, mode: str, pythons: list[Path]) -> None:
    kill_agents_during(launcher, pythons, mode, 20, 5 * 2**20 // 20)


@pytest.mark.promise(15)
@pytest.mark.parametrize("fault", ["missing", "readable", "empty", "a person's", "not PEM"])
def test_a_job_with_a_bad_credential_runs_unmonitored_and_says_so(
    launcher: Any, site: Any, fault: str, mode: str, another_python: Path
) -> None:
    path = launcher.credential
    text = path.read_text()
    if fault == "missing":
        path.unlink()
    elif fault == "readable":
        path.chmod(0o644)
    elif fault == "empty":
        path.write_text("")
    elif fault == "a person's":
        path.write_text(site.issue_person("alice", (), 3600.0, time.time()).text())
    else:
        path.write_text(text.replace("BEGIN CERT", "BEGAN CERT"))
    script = "echo $JOBMON_JOB_ID; echo line >> $JOBMON_LOG; exit 3"

    status, output, errors = launcher.run(launcher.line(another_python, "sh", "-c", script, mode=mode))

    assert (status, output) == (3, b"\n")
    assert errors.startswith(b"jobmond: ")
    assert errors.endswith(b"; the job runs unmonitored\n")
    assert errors.count(b"\n") == 1
    line = launcher.line(another_python, "true", mode=mode)
    assert launcher.run([*line[:4], "--quiet", *line[4:]]) == (0, b"", b"")


@pytest.mark.promise(15)
@pytest.mark.promise(29)
def test_a_job_runs_when_no_process_is_left(launcher: Any, python: Path, mode: str) -> None:
    line = launcher.line(python, "sh", "-c", "exec true", mode=mode)
    limited = ["prlimit", "--nproc=1:1", *line]
    if os.geteuid() == 0:
        # The kernel limits no process of root's: be another user, who may read what is root's.
        os.chown(launcher.credential, NOBODY, -1)
        powers = "+dac_override,+dac_read_search"
        limited = ["setpriv", f"--reuid={NOBODY}", f"--inh-caps={powers}", f"--ambient-caps={powers}", *limited]

    status, _, errors = launcher.run(limited)

    assert status == 0
    assert b"cannot start the agent" in errors


@pytest.mark.promise(15)
@pytest.mark.parametrize("limit", ["-n 8", "-v 65536", "-f 0"])
def test_a_job_runs_within_tight_limits(launcher: Any, python: Path, mode: str, limit: str) -> None:
    line = launcher.line(python, "sh", "-c", "exit 9", mode=mode)

    assert launcher.run(["sh", "-c", f'ulimit {limit}; exec "$@"', "sh", *line])[0] == 9


@pytest.mark.promise(15)
@pytest.mark.parametrize("module", ["launch", "sidecar", "herald", "idle", "environment", "waiter"])
@pytest.mark.parametrize("fault", ["this is no Python", "raise MemoryError", "import sys; sys.exit(0)"])
def test_a_job_runs_when_a_module_of_the_agent_is_broken(
    launcher: Any, pyz: Path, tmp_path: Path, module: str, fault: str, another_python: Path
) -> None:
    broken = tmp_path / "broken.pyz"
    with zipfile.ZipFile(pyz) as good, zipfile.ZipFile(broken, "w") as bad:
        # Without byte code, which would run in the source's place.
        for name in filter(lambda name: not name.startswith("cp"), good.namelist()):
            bad.writestr(name, fault if name == f"jobmon_agent/{module}.py" else good.read(name))
    launcher.agent = broken

    mode = "--wrap" if module == "waiter" else "--exec"
    status, output, errors = launcher.run(launcher.line(another_python, "sh", "-c", "echo it runs; exit 3", mode=mode))

    assert (status, output) == (3, b"it runs\n")
    assert errors.endswith(b"the job runs unmonitored\n")


@pytest.mark.promise(17)
def test_the_agent_leaves_at_once_and_nothing_behind(
    launcher: Any, server: Any, until: Any, python: Path, mode: str
) -> None:
    waited: list[float] = []
    while len(waited) < 3 and not (waited and min(waited) < 1):  # the machine may be busy
        turn = len(waited)
        job = launcher.start(launcher.line(python, "sh", "-c", "read go", mode=mode), stdin=subprocess.PIPE)
        server.channel(turn)
        job.communicate(b"\n")
        ended = time.monotonic()
        until(lambda: not launcher.processes())
        waited.append(time.monotonic() - ended)

    assert min(waited) < 1
    assert len(server.ends) == len(waited)
    assert list(launcher.directory.iterdir()) == []


def test_the_agent_outlives_its_own_file(launcher: Any, pyz: Path, server: Any, until: Any, old_or_new: Path) -> None:
    shutil.copy(pyz, launcher.directory / "jobmond.pyz")
    launcher.agent = Path("jobmond.pyz")

    assert launcher.run(launcher.line(old_or_new, "sh", "-c", "rm jobmond.pyz; exit 4"))[0] == 4

    until(lambda: server.ends)
    assert server.ends[0]["exit"]["code"] in (4, None)


def in_a_namespace(setup: str, line: list[str], *options: str) -> list[str]:
    """The command line in a mount namespace of its own, which a line of shell sets up."""
    return ["unshare", "-m", *options, "sh", "-c", f'{setup} && exec "$@"', "sh", *line]


@needs_root
@pytest.mark.promise(15)
@pytest.mark.parametrize(
    "setup",
    [
        "mount -t tmpfs -o size=8k,nr_inodes=3 tmpfs . && cd $PWD && { cat /dev/zero > full 2>/dev/null; true; }",
        "umount -l /proc",
        "mount -t tmpfs tmpfs /proc",
        "mount -t tmpfs -o ro tmpfs . && cd $PWD",
    ],
    ids=["a full disk", "no /proc", "an empty /proc", "a read-only directory"],
)
def test_a_job_runs_in_a_broken_place(launcher: Any, server: Any, python: Path, mode: str, setup: str) -> None:
    line = launcher.line(python, "sh", "-c", "echo line >> $JOBMON_LOG; echo it runs; exit 5", mode=mode)

    status, output, errors = launcher.run(in_a_namespace(setup, line))

    assert (status, output) == (5, b"it runs\n")
    assert errors.count(b"\n") <= 1


@needs_root
@pytest.mark.promise(15)
def test_a_job_starts_while_names_are_looked_up_in_vain(
    launcher: Any, tmp_path: Path, another_python: Path, mode: str
) -> None:
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)  # a name server that never answers
    silent.bind(("127.0.0.53", 53))
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.53\n")
    credential = launcher.credential
    credential.write_text(credential.read_text().replace("https://127.0.0.1:", "https://head.example.org:"))
    setup = f"mount --bind {tmp_path}/resolv.conf $(readlink -f /etc/resolv.conf)"
    line = launcher.line(another_python, "sh", "-c", "exit 5", mode=mode)

    with silent:
        start = time.monotonic()
        assert launcher.run(in_a_namespace(setup, line))[0] == 5
        assert time.monotonic() - start < 5
        assert launcher.agents()
        silent.settimeout(10)
        assert b"head" in silent.recv(512)  # it did ask


@pytest.mark.promise(15)
def test_a_job_runs_whose_certificate_is_of_another_site(
    launcher: Any, server: Any, until: Any, tmp_path: Path, python: Path
) -> None:
    base, now = parse("/DC=org/DC=other"), time.time()
    other = Site.create(
        tmp_path / "other", ["127.0.0.1"], "other", base, "https://127.0.0.1:9", "https://127.0.0.1:9", now
    )
    [made] = other.issue_job_credentials(other.person_name("eve"), ["job-1"], 3600.0, now)
    launcher.credential.unlink()
    write_credential(launcher.credential, made._replace(server=f"https://127.0.0.1:{server.port}"))

    assert launcher.run(launcher.line(python, "sh", "-c", "exit 5")) == (5, b"", b"")
    until(lambda: server.errors)
    assert server.registrations == []


@pytest.mark.promise(15)
@pytest.mark.parametrize("fault", ["cut off", "garbage", "another Python's"])
def test_a_job_runs_when_compiled_modules_are_corrupt(
    launcher: Any, tree: Path, tmp_path: Path, old_or_new: Path, fault: str
) -> None:
    launcher.agent = tmp_path / "corrupt"
    shutil.copytree(tree, launcher.agent, ignore=shutil.ignore_patterns("__pycache__"))
    line = launcher.line(old_or_new, "sh", "-c", "echo it runs; exit 5")
    assert launcher.run(line)[0] == 5
    compiled = list(launcher.agent.glob("*/__pycache__/*.pyc"))
    assert compiled

    for path in compiled:
        content = path.read_bytes()
        if fault == "cut off":
            path.write_bytes(content[:40])
        elif fault == "garbage":
            path.write_bytes(content[:16] + bytes(reversed(content[16:])))
        else:
            path.write_bytes(b"\xff\xff\r\n" + content[4:])

    assert launcher.run(line)[:2] == (5, b"it runs\n")


# It leaves process 1 two orphans, one that ends at once and one that outlives it.
ADOPTING = "(sh -c 'exit 9' & sleep 60 &) ; echo $$; read go; "


@needs_root
@pytest.mark.promise(18)
@pytest.mark.parametrize(("end", "status"), [("exit 5", 5), ("kill -KILL $$", 128 + 9)], ids=["code", "signal"])
def test_a_job_may_be_process_1_of_a_container(
    launcher: Any, server: Any, until: Any, python: Path, mode: str, end: str, status: int
) -> None:
    line = launcher.line(python, "sh", "-c", ADOPTING + end, mode=mode)
    container = ["unshare", "-p", "-f", "--mount-proc", "--kill-child", *line]
    job = launcher.start(container, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    first = job.stdout.readline()
    server.channel()

    job.communicate(b"go\n")

    assert (first == b"1\n") == (mode == "--exec")
    # The kernel keeps process 1 from killing itself: the shell goes on, to the end of its script.
    assert job.returncode == (0 if mode == "--exec" and end != "exit 5" else status)
    until(lambda: not launcher.processes())  # all of a container ends with its process 1


SUBREAPER = """
import ctypes, os, sys, time
assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0
job = os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
statuses, ended = {}, None
while True:
    try: pid, status = os.waitpid(-1, 0)
    except ChildProcessError: break
    statuses[pid] = status
    if pid == job: ended = time.monotonic()
print(statuses.pop(job) >> 8, len(statuses) > 0, "%.3f" % (time.monotonic() - ended))
"""


@pytest.mark.promise(19)
def test_a_supervisor_that_adopts_orphans_has_reaped_all_within_a_second(
    launcher: Any, server: Any, python: Path, mode: str
) -> None:
    line = launcher.line(python, "sh", "-c", "exit 5", mode=mode)
    waited: list[float] = []
    while len(waited) < 3 and not (waited and min(waited) < 1):  # the machine may be busy
        output = launcher.run([sys.executable, "-I", "-S", "-c", SUBREAPER, *line])[1].split()
        assert output[:2] == [b"5", b"True"]
        waited.append(float(output[2]))

    assert min(waited) < 1

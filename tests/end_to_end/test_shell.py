"""A shell from a real terminal, through a real server and agent; the terminal is put right whatever happens."""

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import OwnSite
from tests.end_to_end.sites import ANSWER, JOBMON, Job, is_running, wait_until

SLEEPS = "import time\ntime.sleep(600)"
PROMPT = "ready> "
SHELL = ("--", "env", f"PS1={PROMPT}", "sh", "-i")  # the same prompt for every user
REVOKED_WITHIN = 5.0  # s


@pytest.fixture(scope="module")
def shells(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnSite]:
    """A site that has shells for owners."""
    site = OwnSite("shells", tmp_path_factory.mktemp("shells") / "shells")
    allow(site, "owner")
    yield site
    site.stop()


@pytest.fixture(scope="module")
def job(shells: OwnSite) -> Job:
    """A job that only sleeps."""
    return shells.start_job(SLEEPS)


def allow(site: OwnSite, who: str) -> None:
    """Write it into server.toml, and have the server read it."""
    toml = site.home / "server.toml"
    kept = [line for line in toml.read_text().splitlines() if not line.startswith("shell")]
    toml.write_text("\n".join([*kept, f'shell = "{who}"\n']))
    assert site.server is not None
    site.server.send_signal(signal.SIGHUP)


class Screen:
    """A terminal on which one command runs."""

    def __init__(self, site: OwnSite, *words: str, context: str = "alice") -> None:
        self._ours, self.theirs = os.openpty()
        self.resize(40, 100)
        self.before = termios.tcgetattr(self.theirs)
        self.text = ""
        self.process = subprocess.Popen(
            (*JOBMON, *(("--context", context) if context else ()), *words),
            stdin=self.theirs,
            stdout=self.theirs,
            stderr=self.theirs,
            env=site.environment | {"TERM": "xterm-256color"},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def until(self, pattern: str, limit: float = ANSWER) -> str:
        """Read until the pattern stands in what came since the last time; give it."""
        deadline = time.monotonic() + limit
        while not (found := re.search(pattern, self.text, re.DOTALL)):
            assert time.monotonic() < deadline, f"no {pattern!r} in {self.text!r}"
            self._read(0.05)
        self.text = self.text[found.end() :]
        return found.group(found.lastindex or 0)

    def ask(self, line: str) -> str:
        """Type a line at a prompt and give what it prints."""
        self.type(line + "\r")
        return self.until(r"\r\n(.*?)" + PROMPT).replace("\r\n", "\n").strip()

    def end(self, limit: float = ANSWER) -> int:
        """Wait for the command's end; its return code."""
        deadline = time.monotonic() + limit
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.text
            self._read(0.02)
        while self._read(0.0):
            pass
        return self.process.returncode

    def is_restored(self) -> bool:
        """The terminal is as it was."""
        return termios.tcgetattr(self.theirs) == self.before

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for descriptor in (self._ours, self.theirs):
            if descriptor >= 0:
                os.close(descriptor)

    def hang_up(self) -> None:
        """Take the terminal away."""
        os.close(self.theirs)
        os.close(self._ours)
        self._ours = self.theirs = -1

    def _read(self, patience: float) -> bool:
        if not select.select([self._ours], [], [], patience)[0]:
            return False
        data = os.read(self._ours, 65536)
        self.text += data.decode("utf-8", "replace")
        return bool(data)


@pytest.fixture
def screen(shells: OwnSite, job: Job) -> Iterator[Callable[..., Screen]]:
    """Opens a shell of the job on a terminal, and waits for its prompt."""
    opened: list[Screen] = []

    def start(*words: str, prompt: str = PROMPT) -> Screen:
        # The last one's end may still be on its way to the server.
        wait_until(lambda: "busy" not in pipe(shells, job, "true").stderr)
        opened.append(Screen(shells, "shell", job.id, *(words or SHELL)))
        opened[-1].until("a shell beside job")
        opened[-1].until(prompt)
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def pipe(site: OwnSite, job: Job, *words: str, typed: str = "", context: str = "alice") -> Any:
    """Run a shell's command without a terminal."""
    command = ("--", *words) if words else ()
    return subprocess.run(
        (*JOBMON, "shell", job.id, "--context", context, *command),
        env=site.environment,
        input=typed,
        capture_output=True,
        text=True,
        timeout=ANSWER,
        check=False,
    )


def sleeper(terminal: Screen, job: Job) -> int:
    """Start a process that does not heed a hang-up; its pid."""
    path = job.sandbox / "sleeper"
    path.unlink(missing_ok=True)
    terminal.ask("nohup sleep 300 >/dev/null 2>&1 & echo $! > sleeper")
    pid = int(path.read_text())
    assert is_running(pid)
    return pid


def test_a_person_works_in_it_as_in_any_shell(screen: Callable[..., Screen], job: Job) -> None:
    terminal = screen()

    assert terminal.ask("echo one; pwd") == f"one\n{job.sandbox}"
    assert terminal.ask("stty size; echo $TERM") == "40 100\nxterm-256color"
    terminal.resize(50, 132)
    wait_until(lambda: terminal.ask("stty size") == "50 132")
    for key in ("\x03", "\x1c", "\x1a"):  # ^C, ^\, ^Z
        terminal.type("sh -c 'echo go; exec sleep 300'\r")
        terminal.until("\ngo\r\n")
        terminal.type(key)
        terminal.until(PROMPT)
        assert terminal.ask("echo alive") == "alive"
    terminal.type("yes\r")
    terminal.until("y\r\ny\r\ny\r\n")
    terminal.type("\x03")
    terminal.until(PROMPT)
    assert not terminal.is_restored(), "the control: it is raw meanwhile"
    terminal.type("exit 7\rexit 7\r")
    assert terminal.end() == 7
    assert terminal.is_restored()


def test_what_is_printed_reaches_the_terminal_as_it_is(screen: Callable[..., Screen]) -> None:
    terminal = screen()

    assert terminal.ask(r"printf '\033]0;a title\007é'") == "\x1b]0;a title\x07é"


def test_the_escape_leaves_and_nothing_stays(screen: Callable[..., Screen], job: Job) -> None:
    terminal = screen()
    pid = sleeper(terminal, job)

    terminal.type("\r~.")

    assert terminal.end() == 130
    assert terminal.is_restored()
    wait_until(lambda: not is_running(pid))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_is_ended_leaves_the_terminal_right(
    screen: Callable[..., Screen], job: Job, number: signal.Signals
) -> None:
    terminal = screen()
    pid = sleeper(terminal, job)

    terminal.process.send_signal(number)

    assert terminal.end() == -number
    assert terminal.is_restored()
    wait_until(lambda: not is_running(pid))


def test_a_terminal_that_is_taken_away_ends_the_shell(screen: Callable[..., Screen], job: Job) -> None:
    terminal = screen()
    pid = sleeper(terminal, job)

    terminal.hang_up()

    wait_until(lambda: terminal.process.poll() is not None)
    wait_until(lambda: not is_running(pid))


def test_a_command_that_is_killed_ends_the_shell(screen: Callable[..., Screen], job: Job) -> None:
    terminal = screen()
    pid = sleeper(terminal, job)

    terminal.process.kill()

    wait_until(lambda: not is_running(pid))


def test_a_server_that_is_killed_is_one_sentence(shells: OwnSite, screen: Callable[..., Screen], job: Job) -> None:
    terminal = screen()
    pid = sleeper(terminal, job)
    assert shells.server is not None

    shells.server.kill()

    try:
        assert terminal.end() == 5
        assert terminal.is_restored()
        assert re.search(r"\r\njobmon: [^\r\n]+\r\n$", terminal.text)
        wait_until(lambda: not is_running(pid))
    finally:
        shells.server.wait()
        shells.start_server()
        shells.wait_for(job.id, lambda row: row["state"] == "running")


def test_an_agent_that_is_killed_is_one_sentence(shells: OwnSite) -> None:
    own = shells.start_job(SLEEPS)
    terminal = Screen(shells, "shell", own.id, *SHELL)
    try:
        terminal.until(PROMPT)
        pid = sleeper(terminal, own)
        # The worker was forked before the performer that is the shell's.
        os.kill(min(found for found in own.agents() if _has_tls(found)), signal.SIGKILL)

        assert terminal.end() == 6
        assert terminal.is_restored()
        wait_until(lambda: not is_running(pid))
        assert own.process.poll() is None
    finally:
        terminal.close()


def test_a_job_that_ends_takes_its_shell_with_it(shells: OwnSite) -> None:
    own = shells.start_job(SLEEPS)
    terminal = Screen(shells, "shell", own.id, *SHELL)
    try:
        terminal.until(PROMPT)
        pid = sleeper(terminal, own)
        assert shells.jobmon("kill", "-s", "KILL", own.id).returncode == 0

        assert terminal.end() == 6
        assert "the job has ended" in terminal.text
        wait_until(lambda: not is_running(pid))
    finally:
        terminal.close()


def test_a_revoked_owners_shell_ends(shells: OwnSite, tmp_path: Path) -> None:
    issue = ("pki", "issue", "--site", str(shells.home), "--person", "alice", "--out", str(tmp_path / "second.jobmon"))
    assert shells.jobmon(*issue, context=None).returncode == 0
    own = shells.start_job(SLEEPS)
    terminal = Screen(shells, "shell", own.id, "--credential", str(tmp_path / "second.jobmon"), *SHELL, context="")
    try:
        terminal.until(PROMPT)
        pid = sleeper(terminal, own)
        revoke = ("pki", "revoke", "--site", str(shells.home), str(tmp_path / "second.jobmon"))
        assert shells.jobmon(*revoke, context=None).returncode == 0

        assert terminal.end(REVOKED_WITHIN) == 7
        assert terminal.is_restored()
        wait_until(lambda: not is_running(pid))
    finally:
        terminal.close()


def test_in_a_pipe_it_is_a_program(shells: OwnSite, job: Job) -> None:
    said = pipe(shells, job, typed="pwd; tty; exit 4\n")
    counted = pipe(shells, job, "wc", "-c", typed="x" * 300_000)

    assert (said.returncode, said.stdout, said.stderr) == (4, f"{job.sandbox}\nnot a tty\n", "")
    assert (counted.returncode, counted.stdout, counted.stderr) == (0, "300000\n", "")


def test_who_may_is_what_the_operator_says_from_the_next_hup_on(
    shells: OwnSite, job: Job, screen: Callable[..., Screen]
) -> None:
    refused = pipe(shells, job, "true", context="admin")
    assert (refused.returncode, refused.stdout) == (4, "")
    assert refused.stderr == "jobmon: at this site a shell is for the job's owner alone; ask the owner\n"
    terminal = screen()
    try:
        allow(shells, "off")
        assert terminal.end() == 4
        assert terminal.is_restored()
        assert pipe(shells, job, "true").stderr == "jobmon: this site has no shells; its operator may switch them on\n"
        allow(shells, "all")
        wait_until(lambda: pipe(shells, job, "true", context="admin").returncode == 0)
    finally:
        allow(shells, "owner")


def test_every_shell_is_in_the_audit_and_in_the_jobs_log(shells: OwnSite, job: Job) -> None:
    assert pipe(shells, job, "echo", "secret words").returncode == 0

    audit = shells.jobmon("audit", job.id).stdout.splitlines()[-1]
    log = shells.jobmon("log", job.id).stdout.splitlines()[-2:]

    assert "allowed   done" in audit
    assert "echo 'secret words'" in audit
    assert [line.split("  ")[-1].split(" by ")[0].strip() for line in log] == ["shell", "shell"]
    assert log[-1].endswith("ended: done")


def _has_tls(pid: int) -> bool:
    """It is the agent's worker, or of its performers."""
    return "_ssl" in Path(f"/proc/{pid}/maps").read_text()

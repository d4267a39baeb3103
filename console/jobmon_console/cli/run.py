"""``jobmon run``: a command here, now, as a monitored job.

This process becomes the agent, and the agent the command: exit status and
signals are the command's own.
"""

import argparse
import hashlib
import os
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import NoReturn

from jobmon_console import __version__, calls
from jobmon_console.cli import reach, screen
from jobmon_console.contexts import Context
from jobmon_console.errors import JobMonError, UsageError
from jobmon_console.safe import safe
from jobmon_console.session import Session

_OPENED_WITHIN = 30.0  # s; the agent opens its credential within its first 100 ms
_LOOK_EVERY = 0.05  # s


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("--id", metavar="ID", help="the job's id; default: made up")
    parser.add_argument("--cluster", metavar="NAME", help="of several contexts, the one whose server is this cluster's")
    parser.add_argument("words", metavar="COMMAND", nargs=argparse.REMAINDER, help="the command and its arguments")


def run(arguments: argparse.Namespace) -> int:
    """Become the job; this returns only to raise."""
    command = arguments.words[1:] if arguments.words[:1] == ["--"] else arguments.words
    if not command:
        raise UsageError("run what? Name a command; see: jobmon run --help")
    from jobmon_console import credentials
    from jobmon_console.pack import write_agent

    job_id = arguments.id or f"run-{time.strftime('%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    with Session(_context(arguments)) as session:
        credential = credentials.issue(session, [job_id])[0]
    directory = Path(tempfile.mkdtemp(prefix="jobmon-run-"))  # 0700
    try:
        agent = directory / "jobmond.pyz"
        write_agent(agent, [sys.executable])  # what runs it, below
        agent = _cached(agent)
        path = credentials.write(credential, directory)
        if screen.is_terminal():
            screen.note(f"job {job_id}; see it with: jobmon show {job_id}")
        return _become(agent, path, command)
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise


def _context(arguments: argparse.Namespace) -> Context:
    contexts = reach.contexts_of(arguments)
    if arguments.cluster is None:
        if len(contexts) > 1:
            raise UsageError("several contexts are current; choose one with --context or --cluster")
        return contexts[0]
    outcomes = reach.over_contexts(contexts, lambda session: session.fetch(calls.whoami()))
    for outcome in outcomes:
        if outcome.value is not None and outcome.value.get("cluster") == arguments.cluster:
            return outcome.asked  # type: ignore[no-any-return]
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
    raise UsageError(f"no context leads to the cluster {arguments.cluster!a}; see: jobmon doctor")


def _cached(agent: Path) -> Path:
    """The agent under the cache, so that it is there as long as the job wants it."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    digest = hashlib.sha256(agent.read_bytes()).hexdigest()[:16]
    kept = Path(base) / "jobmon" / f"jobmond-{__version__}-{digest}.pyz"
    try:
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = kept.with_name(f".{kept.name}.{secrets.token_hex(4)}")
        shutil.copy(agent, draft)
        os.replace(draft, kept)
    except OSError:
        return agent
    agent.unlink()
    return kept


def _become(agent: Path, credential: Path, command: list[str]) -> NoReturn:
    """Replace this process by the agent."""
    sys.stdout.flush()
    sys.stderr.flush()
    leftovers = [credential.parent] if agent.parent != credential.parent else [credential]
    _clean_up_later(credential, leftovers)
    words = [sys.executable, "-I", "-S", str(agent), "--credential", str(credential), "--", *command]
    try:
        os.execv(sys.executable, words)  # noqa: S606 - no shell is meant
    except OSError as error:
        raise JobMonError(safe(f"cannot start the agent with {sys.executable}: {error.strerror}; check it")) from None


def _clean_up_later(credential: Path, leftovers: list[Path]) -> None:
    """Remove the credential as soon as the agent has it open.

    Whoever removes it must not be the job's child, or the job would wait for
    one that it did not start: hence two forks.
    """
    runner = os.getpid()
    is_ours, _until_replaced = os.pipe()  # the second end closes when this process becomes the agent
    child = os.fork()
    if child:
        os.close(is_ours)
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        kept = os.dup2(is_ours, 3)
        os.closerange(0, kept)  # the job's pipes must see their end
        os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))
        os.read(kept, 1)
        needle = os.fsencode(credential)
        until = time.monotonic() + _OPENED_WITHIN
        while time.monotonic() < until and needle in _command_line(runner):
            time.sleep(_LOOK_EVERY)
        for path in leftovers:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    finally:
        os._exit(0)


def _command_line(pid: int) -> bytes:
    """What the process was started with: the agent names the credential, the job after it does not."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""

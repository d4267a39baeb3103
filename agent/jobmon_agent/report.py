"""What the agent says of its job at both ends of its life."""

import os
import sys

from jobmon_agent import VERSION, batch, node, reason, tags
from jobmon_agent.health import Health
from jobmon_agent.job import Job
from jobmon_agent.members import Members, group_of
from jobmon_wire import frames, limits
from jobmon_wire.frames import write_object
from jobmon_wire.jobs import command_text
from jobmon_wire.records import EndReport, Exit, Registration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional

_INTERPRETERS = frozenset(["python", "perl", "ruby", "bash", "sh", "Rscript", "julia"])  # versions left out


def registration(job: Job, facts: "Dict[str, Any]") -> Registration:
    """Who registers: the agent, its job and its node."""
    labels, name = batch.facts(dict(os.environ), job.sandbox_path)
    around = node.facts()
    words = tuple(_text(word) for word in facts["command"])
    return Registration(
        epoch=facts["epoch"],
        agent=VERSION,
        python=sys.version.split()[0],  # the module platform takes 3 ms of CPU
        mode=job.mode,
        pid=job.pid,
        started=facts["epoch"] / 1000.0,
        command=command_text(words)[: limits.TEXT],
        name=(name or program_name(words))[: limits.LABEL],
        cwd=_text(os.fsencode(job.sandbox_path))[: limits.TEXT],
        user=_user()[: limits.LABEL],
        node=str(around["node"])[:255],
        cpus=int(around["cpus"]),
        memory=int(around["memory"]),
        kernel=str(around["kernel"])[:255],
        batch=labels,
        tags=tags.read_tags(_text(os.fsencode(os.environ.get(tags.VARIABLE, "")))),
        stdout=facts["stdout_kind"],
        stderr=facts["stderr_kind"],
    )


def program_name(words: "tuple[str, ...]") -> str:
    """What people call a command: of ``python3 train.py --fold 7`` the script, not its interpreter."""
    name = os.path.basename(words[0])
    is_script = name.rstrip("0123456789.") in _INTERPRETERS and len(words) > 1 and not words[1].startswith("-")
    return os.path.basename(words[1]) if is_script else name


class End:
    """What is told of the job's end: announced, in haste, and whole.

    Args:
        epoch: of this agent.
        health: what the beats have seen.
    """

    def __init__(self, job: Job, epoch: int, health: Health) -> None:
        self._job = job
        self._epoch = epoch
        self._health = health
        self._announcement = reason.Announcement(job, epoch / 1000.0)

    def announced(self) -> "Optional[str]":
        """Why the batch system is about to end the job, where it has said so."""
        return self._announcement.read()

    def in_haste(self, ended: float, exit: Exit) -> "Iterator[bytes]":
        """Frames to send one by one: the barest first, since the batch system may kill the agent after any."""
        bare = {"epoch": self._epoch, "ended": ended, "exit": dict(exit._asdict())}
        yield write_object(frames.OVER, frames.CHANNEL, bare)
        yield write_object(frames.OVER, frames.CHANNEL, self._report(ended, exit, limits.HASTY_WORDS).document())

    def whole(self, ended: float, exit: Exit) -> EndReport:
        """How the job ended, what it said last and what it left behind."""
        return self._report(ended, exit, limits.LAST_WORDS)._replace(survivors=_survivors(self._job))

    def _report(self, ended: float, exit: Exit, words: int) -> EndReport:
        stdout, stdout_bytes = _last_words(self._job.stdout, words)
        stderr, stderr_bytes = _last_words(self._job.stderr, words)
        return EndReport(
            epoch=self._epoch,
            ended=ended,
            exit=exit,
            stdout=stdout,
            stderr=stderr,
            stdout_bytes=stdout_bytes,
            stderr_bytes=stderr_bytes,
            peak_rss=self._health.peak_rss,
            cpu_seconds=self._health.cpu_seconds,
            survivors=0,
            reason=reason.of_end(stderr, self._epoch / 1000.0, ended, exit, group_of(self._job).oom_kills()),
        )


def _last_words(descriptor: "Optional[int]", most: int) -> "tuple[bytes, Optional[int]]":
    if descriptor is None:
        return b"", None
    try:
        size = os.fstat(descriptor).st_size
        start = max(0, size - most)
        parts: "List[bytes]" = []
        while start < size:
            data = os.pread(descriptor, size - start, start)
            if not data:  # cut in the meantime
                break
            parts.append(data)
            start += len(data)
        return b"".join(parts), size
    except OSError:
        return b"", None


def _survivors(job: Job) -> int:
    members = Members(job).scan()
    return sum(process.state not in "ZX" and process.pid != job.pid for process in members.values())


def _user() -> str:
    try:
        import pwd

        return pwd.getpwuid(os.geteuid()).pw_name
    except (ImportError, KeyError):  # a container without that user
        return str(os.geteuid())


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")

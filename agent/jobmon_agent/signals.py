"""The verb `kill`: a signal to every process of the job, or to one of them, and to no other.

A number may be taken over by another process between two lines of a program.
So each process is first held by a descriptor (pidfd), then looked at again,
then signalled through the descriptor.  Before Linux 5.3 there is none; the
look and the signal then follow each other as closely as they can.

TERM is for programs that listen: every member gets it once, parents first, and
one that was stopped goes on to hear it.  KILL is for the rest: whole sessions
at once where the kernel can, then whatever is found, until nothing comes.  Of
one process alone neither the session nor a child gets anything.
"""

import os
import select
import signal
import time

from jobmon_agent.choice import live_members, member_of
from jobmon_agent.job import Job, VerbFailure
from jobmon_agent.members import Members
from jobmon_agent.pidfd import open_pidfd
from jobmon_agent.proc import Process, boot_id, exact_start, read_process
from jobmon_agent.pursuit import Pursuit
from jobmon_wire import frames
from jobmon_wire.tuples import NamedTuple
from jobmon_wire.verbs import KILL_GRACE, signal_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional, Set, Tuple

ROUNDS = 100  # looks for members that were forked meanwhile; more would not outrun them either
SETTLE = 2.0  # s for the kernel to take down what got KILL; one that waits for a disk may stay longer
POLL = 0.05  # s between two looks where there is no pidfd, or between two rounds
SURE = 3  # looks that find nobody: one may miss a process that forks and ends while /proc is being read
QUIET = 10  # looks at newcomers that find no member: at 0.3 ms each, longer than a link of a chain takes to fork
LISTED = 2000  # pids of each list in one RECORD: three such lists fit a frame
_PIDFD_SEND_SIGNAL = 424  # number of the system call, the same on every architecture
_UNSENT = (  # by whether the process is there
    "process %d has ended; nothing was sent",
    "process %d runs as another user now, or has just got its number; nothing was sent",
)
_PROCESS_GROUP = 4  # PIDFD_SIGNAL_PROCESS_GROUP, from Linux 6.9 on


class Target(NamedTuple):
    """One process for good: a number alone may come to mean another."""

    pid: int
    starttime: int


def kill(job: Job, arguments: "Dict[str, Any]") -> "Iterator[Tuple[int, Dict[str, Any]]]":
    """Signal all members, or one; after the grace, KILL those that are left.

    Yields:
        One RECORD, more for thousands.

    Raises:
        VerbFailure: the one that is meant is no process of the job, or another by now; nothing was sent.
    """
    name = arguments["signal"]
    grace = arguments["grace"]
    if grace is None and name == "TERM":
        grace = KILL_GRACE
    if arguments["pid"] is not None:
        yield frames.RECORD, _kill_one(job, arguments["pid"], arguments["started"], name, grace)
        return
    if arguments["started"] is not None:  # somebody meant one process: never all of them
        raise VerbFailure("bad-request", "started is about one process; name it by pid")
    members = Members(job)
    sent = _send_to_all(members, job, signal_number(name)) if name != "KILL" else set()
    if name == "TERM":
        _wake(job, sent)
    killed: "Set[Target]" = set()
    if name != "KILL" and grace is not None:
        _await_end(members, time.monotonic() + grace)
    if name == "KILL" or grace is not None:
        killed = _kill_rest(members, job)
    lists = {
        "sent": sorted(target.pid for target in (sent or killed)),
        "killed": sorted(target.pid for target in killed if sent),
        "left": sorted(process.pid for process in _living(members)),
    }
    for start in range(0, max(map(len, lists.values())) or 1, LISTED):
        record: "Dict[str, Any]" = {key: pids[start : start + LISTED] for key, pids in lists.items()}
        yield frames.RECORD, dict(record, signal=name)


def send(job: Job, target: Target, number: int) -> bool:
    """Signal that very process, if it still is there and may be signalled.

    Refuses process 1, the agent's own and numbers that mean several processes.
    """
    descriptor = open_pidfd(target.pid)
    try:
        return _send_held(job, target, descriptor, number)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def is_there(target: Target) -> bool:
    """Whether that very process still runs; a zombie does not."""
    process = read_process(target.pid)
    return process is not None and process.starttime == target.starttime and not process.is_dead


def _send_held(job: Job, target: Target, descriptor: "Optional[int]", number: int) -> bool:
    """As ``send``, by a descriptor that was opened before; None where the kernel has none to give."""
    if target.pid <= 1 or target.pid == os.getpid():
        return False
    process = read_process(target.pid)
    if process is None or not _is_target(job, target, process):
        return False
    try:
        if descriptor is None:
            os.kill(target.pid, number)
        else:
            _send_through(descriptor, number)
        return True
    except OSError:  # it has ended, or runs as another user now
        return False


def _kill_one(job: Job, pid: int, started: "Optional[str]", name: str, grace: "Optional[float]") -> "Dict[str, Any]":
    """Signal one member; after the grace, KILL it if it is left.  What is done goes through one descriptor.

    The descriptor is there before anything is looked at: whatever is found to
    be true of the number meant the process that gets the signal, or nobody does.
    """
    descriptor = open_pidfd(pid)
    try:
        target = _choose(job, pid, started)
        if not _send_held(job, target, descriptor, signal_number(name)):
            raise VerbFailure("action-failed", _UNSENT[is_there(target)] % pid)
        if name == "TERM":
            _wake(job, {target})
        killed = False
        if name == "KILL":
            _await_one(target, time.monotonic() + SETTLE)
        elif grace is not None:
            _await_one(target, time.monotonic() + grace)
            killed = is_there(target) and _send_held(job, target, descriptor, signal.SIGKILL)
            _await_one(target, time.monotonic() + (SETTLE if killed else 0.0))
        left = [pid] if is_there(target) else []
        return {"signal": name, "sent": [pid], "killed": [pid] if killed else [], "left": left}
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _choose(job: Job, pid: int, started: "Optional[str]") -> Target:
    """The member that is meant.

    Raises:
        VerbFailure: it is the agent's, it is no running member, or it did not start then.
    """
    process = read_process(pid)
    if process is not None and process.group == job.group:
        raise VerbFailure("action-failed", "process %d belongs to JobMon's agent; nothing was sent" % pid)
    process = member_of(live_members(job), pid)
    if started is not None and started != exact_start(process, boot_id()):
        raise VerbFailure(
            "action-failed",
            "%d is another process now than the one that was meant, which has ended; nothing was sent" % pid,
        )
    return _target(process)


def _send_to_session(job: Job, leader: int, starttime: int) -> bool:
    """KILL a whole process group at once, so that no fork in it escapes; whether it was sent.

    Only for the group of a session's leader: every process there descends from the leader, and no other
    can join.  The leader of the job's own may have ended; the job's descriptor still means its group.
    """
    is_job = (leader, starttime) == (job.pid, job.starttime)
    descriptor = job.pidfd if is_job else open_pidfd(leader)
    if descriptor is None:
        return False
    try:
        process = read_process(leader)
        if not is_job and (process is None or (process.starttime, process.session) != (starttime, leader)):
            return False
        _send_through(descriptor, signal.SIGKILL, _PROCESS_GROUP)
        return True
    except OSError:  # an older kernel, or nobody is left in it
        return False
    finally:
        if not is_job:
            os.close(descriptor)


def _send_through(descriptor: int, number: int, flags: int = 0) -> None:
    if hasattr(signal, "pidfd_send_signal"):  # Python 3.9
        signal.pidfd_send_signal(descriptor, number, None, flags)  # novm
        return
    import ctypes  # 0.6 MB, for those who kill on an older Python alone

    library = ctypes.CDLL(None, use_errno=True)
    if library.syscall(_PIDFD_SEND_SIGNAL, descriptor, int(number), None, flags) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _is_target(job: Job, target: Target, process: Process) -> bool:
    return process.starttime == target.starttime and process.group != job.group


def _send_to_all(members: Members, job: Job, number: int) -> "Set[Target]":
    """Signal every member once, with those that come while this goes on.

    Parents first: a shell whose child is taken from it may end well before its own signal comes.
    """
    reached: "Set[Target]" = set()
    tried: "Set[Target]" = set()
    for _ in range(ROUNDS):
        new = [target for target in map(_target, _living(members)) if target not in tried]
        if not new:
            break
        tried.update(new)
        reached.update(target for target in new if send(job, target, number))
    return reached


def _wake(job: Job, targets: "Set[Target]") -> None:
    """Let the stopped ones go on: a stopped process hears nothing but KILL and CONT."""
    for target in targets:
        process = read_process(target.pid)
        if process is not None and process.state == "T":
            send(job, target, signal.SIGCONT)


def _living(members: Members) -> "List[Process]":
    """The members that still run, the older first: a child never starts before its parent."""
    living = (process for process in members.scan().values() if not process.is_dead)
    return sorted(living, key=lambda process: (process.starttime, process.pid))


def _target(process: Process) -> Target:
    return Target(process.pid, process.starttime)


def _await_end(members: Members, deadline: float) -> bool:
    """Wait until no member lives; whether that came before the deadline."""
    while True:
        living = _living(members)
        if not living:
            return True
        if time.monotonic() >= deadline:
            return False
        for process in living:
            _await_one(_target(process), deadline)


def _kill_rest(members: Members, job: Job) -> "Set[Target]":
    """KILL all members, also those that come meanwhile, and see them go; whom it was sent to."""
    chase = _Chase(job)
    deadline = time.monotonic() + SETTLE
    empty = 0
    while True:
        chase.pursuit.start()
        living = _living(members)
        is_new = chase.kill(living)
        now = time.monotonic()
        chase.run(deadline)
        empty = 0 if living else empty + 1
        if empty == SURE or now >= deadline:
            return chase.reached
        if living and not is_new:  # while new ones come there is no time to wait for the old
            _await_one(_target(living[0]), min(deadline, now + POLL))


class _Chase:
    """KILL to members as they are found, each once."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._tried: "Set[Target]" = set()
        self.pursuit = Pursuit(job)
        self.reached: "Set[Target]" = set()

    def run(self, deadline: float) -> None:
        """Go after those that come, until none does for a while."""
        quiet = 0
        while quiet < QUIET and time.monotonic() < deadline:
            quiet += 1
            for process in self.pursuit.newcomers():  # at once: in a moment it has forked and gone
                self.kill([process])
                quiet = 0

    def kill(self, found: "List[Process]") -> bool:
        """Whether one of them was new."""
        new = [process for process in found if _target(process) not in self._tried]
        sessions = self._kill_sessions(new)
        for process in new:
            self.pursuit.know(process)
            target = _target(process)
            self._tried.add(target)
            if process.group in sessions or send(self._job, target, signal.SIGKILL):
                self.reached.add(target)
        return bool(new)

    def _kill_sessions(self, found: "List[Process]") -> "Set[int]":
        leaders = {process.pid: process.starttime for process in found if process.pid == process.session}
        if any(process.group == process.session == self._job.pid for process in found):
            leaders[self._job.pid] = self._job.starttime
        return {pid for pid, starttime in leaders.items() if _send_to_session(self._job, pid, starttime)}


def _await_one(target: Target, deadline: float) -> None:
    descriptor = open_pidfd(target.pid)
    try:
        while time.monotonic() < deadline:
            if not is_there(target):
                return
            if descriptor is None:
                time.sleep(min(POLL, max(0.0, deadline - time.monotonic())))
            else:
                waiter = select.poll()
                waiter.register(descriptor, select.POLLIN)
                waiter.poll(max(0.0, deadline - time.monotonic()) * 1000)
    finally:
        if descriptor is not None:
            os.close(descriptor)

"""The verb `kill`: a signal to every process of the job and to no other.

A number may be taken over by another process between two lines of a program.
So each process is first held by a descriptor (pidfd), then looked at again,
then signalled through the descriptor.  Before Linux 5.3 there is none; the
look and the signal then follow each other as closely as they can.
"""

import os
import select
import signal
import time
from typing import Any, Dict, Iterator, List, NamedTuple, Set, Tuple

from jobmon_agent.job import Job
from jobmon_agent.members import Members
from jobmon_agent.pidfd import open_pidfd
from jobmon_agent.proc import Process, read_process
from jobmon_wire import frames
from jobmon_wire.verbs import KILL_GRACE, signal_number

ROUNDS = 100  # looks for members that were forked meanwhile; a fork bomb is not outrun by more
SETTLE = 2.0  # s for the kernel to take down what got KILL; one that waits for a disk may stay longer
POLL = 0.05  # s between two looks where there is no pidfd, or between two rounds
SURE = 3  # looks that find nobody: one may miss a process that forks and ends while /proc is being read
LISTED = 2000  # pids of each list in one RECORD: three such lists fit a frame
_PIDFD_SEND_SIGNAL = 424  # number of the system call, the same on every architecture


class Target(NamedTuple):
    """One process for good: a number alone may come to mean another."""

    pid: int
    starttime: int


def kill(job: Job, arguments: Dict[str, Any]) -> Iterator[Tuple[int, Dict[str, Any]]]:
    """Signal all members; after the grace, KILL those that are left.  Yields one RECORD, more for thousands."""
    name = arguments["signal"]
    grace = arguments["grace"]
    if grace is None and name == "TERM":
        grace = KILL_GRACE
    members = Members(job)
    sent = _send_to_all(members, job, signal_number(name)) if name != "KILL" else set()
    killed: Set[Target] = set()
    if name != "KILL" and grace is not None:
        _await_end(members, time.monotonic() + grace)
    if name == "KILL" or grace is not None:
        killed = _kill_rest(members, job)
    lists = {
        "sent": sorted(target.pid for target in (sent or killed)),
        "killed": sorted(target.pid for target in killed if sent),
        "left": sorted(target.pid for target in _living(members)),
    }
    for start in range(0, max(map(len, lists.values())) or 1, LISTED):
        record: Dict[str, Any] = {key: pids[start : start + LISTED] for key, pids in lists.items()}
        yield frames.RECORD, dict(record, signal=name)


def send(job: Job, target: Target, number: int) -> bool:
    """Signal that very process, if it still is there and may be signalled.

    Refuses process 1, the agent's own and numbers that mean several processes.
    """
    if target.pid <= 1 or target.pid == os.getpid():
        return False
    descriptor = open_pidfd(target.pid)
    try:
        process = read_process(target.pid)
        if process is None or not _is_target(job, target, process):
            return False
        if descriptor is None:
            os.kill(target.pid, number)
        else:
            _send_through(descriptor, number)
        return True
    except OSError:  # it has ended, or runs as another user now
        return False
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _send_through(descriptor: int, number: int) -> None:
    if hasattr(signal, "pidfd_send_signal"):  # Python 3.9
        signal.pidfd_send_signal(descriptor, number)  # novm
        return
    import ctypes  # 0.6 MB, for those who kill on an older Python alone

    library = ctypes.CDLL(None, use_errno=True)
    if library.syscall(_PIDFD_SEND_SIGNAL, descriptor, number, None, 0) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _is_target(job: Job, target: Target, process: Process) -> bool:
    return process.starttime == target.starttime and process.group != job.group


def _send_to_all(members: Members, job: Job, number: int) -> Set[Target]:
    """Signal every member once, with those that come while this goes on.

    Parents first: a shell whose child is taken from it may end well before its own signal comes.
    """
    reached: Set[Target] = set()
    tried: Set[Target] = set()
    for _ in range(ROUNDS):
        new = [target for target in _living(members) if target not in tried]
        if not new:
            break
        tried.update(new)
        reached.update(target for target in new if send(job, target, number))
    return reached


def _living(members: Members) -> List[Target]:
    """The members that still run, the older first: a child never starts before its parent."""
    found = members.scan().values()
    return sorted(
        (Target(process.pid, process.starttime) for process in found if not process.is_dead),
        key=lambda target: (target.starttime, target.pid),
    )


def _await_end(members: Members, deadline: float) -> bool:
    """Wait until no member lives; whether that came before the deadline."""
    while True:
        living = _living(members)
        if not living:
            return True
        if time.monotonic() >= deadline:
            return False
        for target in living:
            _await_one(target, deadline)


def _kill_rest(members: Members, job: Job) -> Set[Target]:
    """KILL all members, also those that come meanwhile, and see them go; whom it was sent to."""
    reached: Set[Target] = set()
    tried: Set[Target] = set()
    deadline = time.monotonic() + SETTLE
    empty = 0
    while True:
        living = _living(members)
        new = [target for target in living if target not in tried]
        tried.update(new)
        reached.update(target for target in new if send(job, target, int(signal.SIGKILL)))
        now = time.monotonic()
        empty = 0 if living else empty + 1
        if empty == SURE or now >= deadline:
            return reached
        if living and not new:  # while new ones come there is no time to wait for the old
            _await_one(living[0], min(deadline, now + POLL))


def _await_one(target: Target, deadline: float) -> None:
    descriptor = open_pidfd(target.pid)
    try:
        while time.monotonic() < deadline:
            process = read_process(target.pid)
            if process is None or process.starttime != target.starttime or process.is_dead:
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

"""The agent while nobody asks: a small process that waits for the job's end.

It keeps one worker alive, which has the TLS connection to the server, and
restarts it when it crashes.  It imports nothing large and keeps no secret but
the credential's descriptor: 8 MB instead of 18.  ``_ring`` is the place
where a wake-up by datagram will start the worker on demand.
"""

import os
import select
import time

from jobmon_agent.parting import END_PATIENCE, GAVE_UP, REPORTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List

_LEAVE_AFTER = END_PATIENCE + 30.0  # s; the worker has its own deadline, this one is for a worker that hangs
_FIRST_RESTART = 1.0  # s after a worker's crash
_SLOWEST_RESTART = 60.0  # s
_STEADY = 120.0  # s a worker must have lived for its crash to count as the first
_LOOK = 1.0  # s between two looks at /proc where the kernel has no pidfd


class _Workers:
    """At most one worker process, and when to start the next."""

    def __init__(self, facts: "Dict[str, Any]") -> None:
        self._facts = facts
        self._delay = _FIRST_RESTART
        self._started = 0.0
        self.pid = 0
        self.alive = -1  # readable at the worker's end
        self._life = -1  # the worker reads its end when this process ends
        self.next_start = 0.0  # by the monotonic clock

    def start(self) -> None:
        """Fork a worker."""
        alive, its_alive = os.pipe()
        its_life, life = os.pipe()
        try:
            pid = os.fork()
        except OSError:  # no process left on the node: later perhaps
            for descriptor in (alive, its_alive, its_life, life):
                os.close(descriptor)
            self._plan()
            return
        if not pid:
            status = 1
            try:
                os.close(alive)
                os.close(life)
                from jobmon_agent import worker

                status = worker.run(self._facts, its_life)
            finally:
                os._exit(status)
        os.close(its_alive)
        os.close(its_life)
        self.pid, self.alive, self._life = pid, alive, life
        self._started = time.monotonic()

    def reap(self) -> int:
        """The exit status of the worker, which has ended; a signal counts as a crash."""
        _, status = os.waitpid(self.pid, 0)
        os.close(self.alive)
        os.close(self._life)
        self.pid, self.alive = 0, -1
        if time.monotonic() - self._started > _STEADY:
            self._delay = _FIRST_RESTART
        self._plan()
        return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 1

    def stop(self) -> None:
        """End the worker, which hangs."""
        os.kill(self.pid, 9)
        self.reap()

    def _plan(self) -> None:
        self.next_start = time.monotonic() + self._delay
        self._delay = min(2 * self._delay, _SLOWEST_RESTART)


def watch(facts: "Dict[str, Any]") -> None:
    """Stay until the job is over and its end is reported; leave nothing behind."""
    try:
        _watch(facts)
    finally:
        remove_log(facts)


def remove_log(facts: "Dict[str, Any]") -> None:
    """Take the file for progress lines away, wherever its directory is now."""
    if facts["log"]:
        try:
            os.unlink(facts["log"], dir_fd=facts["descriptors"]["sandbox"])
        except OSError:  # the job has removed it, or its directory
            pass


def _watch(facts: "Dict[str, Any]") -> None:
    workers = _Workers(facts)
    leave = None
    while True:
        now = time.monotonic()
        if leave is not None and now > leave:
            if workers.pid:
                workers.stop()
            return
        if not workers.pid and now >= workers.next_start and _ring(leave is not None):
            workers.start()
        ready = _wait(facts, workers, leave)
        if workers.alive in ready and workers.reap() in (REPORTED, GAVE_UP):
            return
        if leave is None and _is_over(facts, ready):
            facts["ended"] = time.time()
            leave = time.monotonic() + _LEAVE_AFTER


def _ring(is_over: bool) -> bool:
    """Whether a worker is wanted now: always, since the channel is the callback."""
    return True


def _wait(facts: "Dict[str, Any]", workers: "_Workers", leave: "Any") -> "List[int]":
    """Sleep until the worker or the job ends, or the next thing is due; the descriptors that are ready."""
    pidfd = facts["descriptors"].get("pidfd")
    waiting = select.poll()
    timeouts = []
    if workers.pid:
        waiting.register(workers.alive, select.POLLIN)
    else:
        timeouts.append(workers.next_start)
    if leave is not None:
        timeouts.append(leave)
    elif pidfd is not None:
        waiting.register(pidfd, select.POLLIN)
    else:
        timeouts.append(time.monotonic() + _LOOK)
    timeout = max(0, int((min(timeouts) - time.monotonic()) * 1000) + 1) if timeouts else None
    return [descriptor for descriptor, _ in waiting.poll(timeout)]


def _is_over(facts: "Dict[str, Any]", ready: "List[int]") -> bool:
    pidfd = facts["descriptors"].get("pidfd")
    if pidfd is not None:
        return pidfd in ready
    try:
        with open("/proc/%d/stat" % facts["pid"], "rb", 0) as file:
            fields = file.read(4096).rpartition(b")")[2].split()
    except OSError:
        return True
    return fields[0] in (b"Z", b"X") or int(fields[19]) != facts["starttime"]

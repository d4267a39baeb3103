"""The agent while nobody asks: a small process that beats, and waits for the doorbell and the job's end.

It forks a worker, which has TLS and talks to the server, when there is something
to say or to be asked: at the start, when it is rung, when the job has written
progress, at the job's end, and all the time where no datagrams pass.  It
imports nothing large and keeps no secret but the credential's descriptor and
the keys of its beats: 8 MB instead of 18.
"""

import gc
import marshal
import os
import select
import time

from jobmon_agent import descriptors
from jobmon_agent.beats import NEVER, Beats
from jobmon_agent.ending import Ending
from jobmon_agent.health import Health
from jobmon_agent.lull import AS_BEFORE, AS_STILL
from jobmon_agent.parting import BUSY, GAVE_UP, LEFT, LINGER, REPORTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

    from jobmon_agent.lull import Lull

_LEAVE_AFTER = LINGER + 30.0  # s; the worker has its own deadline, this one is for a worker that hangs
_FIRST_RESTART = 1.0  # s after a worker's crash
_SLOWEST_RESTART = 60.0  # s
_STEADY = 120.0  # s a worker must have lived for its crash to count as the first
_LOOK = 1.0  # s between two looks at /proc where the kernel has no pidfd
_PROGRESS_EVERY = 60.0  # s between two workers started to tell of progress: each takes 50 ms of CPU
_DEAF_WORKER = 10.0  # s a worker may leave the bell unanswered: its connection is dead, and it does not know
_HEAD_START = 0.05  # s that the look for the exit status has before a worker is started for the report
_FLOODED = 0.5  # s that the bell is not listened to, when more than the allowed datagrams have come
_WORD = 8192  # bytes of what a worker says at once


class _Subject:
    """The job, as far as health and beats need it."""

    __slots__ = ("group", "mode", "pid", "starttime", "stderr", "stdout", "uuid")

    def __init__(self, facts: "Dict[str, Any]") -> None:
        self.uuid: str = facts["uuid"]
        self.pid: int = facts["pid"]
        self.starttime: int = facts["starttime"]
        self.group: int = facts["group"]
        self.mode: str = facts["mode"]
        self.stdout: "Optional[int]" = facts["descriptors"].get("stdout")
        self.stderr: "Optional[int]" = facts["descriptors"].get("stderr")


class _Workers:
    """At most one worker process, what it says, and when to start the next."""

    def __init__(self, facts: "Dict[str, Any]") -> None:
        self._facts = facts
        self._delay = _FIRST_RESTART
        self._started = 0.0
        self.pid = 0
        self.words = -1  # socket on which the worker speaks: readable and empty at the worker's end, there at ours
        self.next_start = 0.0  # by the monotonic clock

    def start(self) -> None:
        """Fork a worker."""
        try:
            words, its_end = descriptors.pair()
        except OSError:  # no descriptor left
            self._plan()
            return
        try:
            pid = os.fork()
        except OSError:  # no process left on the node: later perhaps
            os.close(words)
            os.close(its_end)
            self._plan()
            return
        if not pid:
            status = 1
            try:
                os.close(words)
                gc.disable()  # until all is loaded: to look it through again and again is a tenth of the work
                from jobmon_agent import worker

                status = worker.run(self._facts, its_end)
            finally:
                os._exit(status)
        os.close(its_end)
        self.pid, self.words = pid, words
        self._started = time.monotonic()

    def hear(self) -> "Optional[Dict[str, Any]]":
        """What the worker says; None when it has ended."""
        said = os.read(self.words, _WORD)
        return marshal.loads(said) if said else None  # noqa: S302 - from our own child

    def reap(self) -> int:
        """The exit status of the worker, which has ended; a signal counts as a crash."""
        _, status = os.waitpid(self.pid, 0)
        os.close(self.words)
        self.pid, self.words = 0, -1
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 1
        if code == LEFT or time.monotonic() - self._started > _STEADY:
            self._delay = _FIRST_RESTART
        if code == LEFT:
            self.next_start = 0.0
        else:
            self._plan()
        return code

    def stop(self) -> None:
        """End the worker, which hangs; the next may come at once."""
        os.kill(self.pid, 9)
        self.reap()
        self.next_start = 0.0

    def _plan(self) -> None:
        self.next_start = time.monotonic() + self._delay
        self._delay = min(2 * self._delay, _SLOWEST_RESTART)


def watch(facts: "Dict[str, Any]") -> None:
    """Stay until the job is over and its end is reported; leave nothing behind."""
    try:
        _Idle(facts).run()
    finally:
        remove_log(facts)


def remove_log(facts: "Dict[str, Any]") -> None:
    """Take the file for progress lines away, wherever its directory is now."""
    if facts["log"]:
        try:
            os.unlink(facts["log"], dir_fd=facts["descriptors"]["sandbox"])
        except OSError:  # the job has removed it, or its directory
            pass


class _Idle:
    """The idle process."""

    def __init__(self, facts: "Dict[str, Any]") -> None:
        self._facts = facts
        self._pidfd: "Optional[int]" = facts["descriptors"].get("pidfd")
        facts["health"] = self._health = Health(_Subject(facts))
        facts["progress"] = None  # where the last worker stopped reading progress
        facts["renewed"] = None  # the job's certificate and its file, when it was renewed
        self._beats = Beats(self._health)
        self._workers = _Workers(facts)
        self._waiting, self._waited_for = select.poll(), []  # type: Any, List[int]
        self._ending: "Optional[Ending]" = None  # while it is not known how the job, which is over, ended
        self._leave: "Optional[float]" = None  # when to give up, once the job is over, by the monotonic clock
        self._has_progress = False  # the job has written some that no worker has read
        self._must_look = True  # for progress: nobody has looked since the job may have written some
        self._told_progress = 0.0  # when a worker was last needed for it, by the monotonic clock

    def run(self) -> None:
        """Beat and wait, until the job's end is reported or was tried for long enough."""
        while True:
            now = time.monotonic()
            if self._leave is not None and now > self._leave:
                if self._workers.pid:
                    self._workers.stop()
                return
            self._attend(now)
            lull = self._beats.lull() if self._is_quiet(now) else None
            ready = self._wait(now) if lull is None else self._doze(lull, now)
            now = time.monotonic()
            if self._workers.words in ready and self._hear_worker() in (REPORTED, GAVE_UP):
                return
            if self._beats.descriptor(now) in ready:
                self._beats.hear(now)
            if self._ending is not None:
                self._tell_end(now)
            if self._leave is not None:
                continue
            if now >= self._beats.next:
                self._beat(now)
            if self._is_over(ready):
                self._end()

    def _beat(self, now: float) -> None:
        """Beat; while a worker tells of the job too, with figures as new as its own."""
        if self._workers.pid:
            self._health.renew()
        self._beats.beat(now)
        self._look_at_progress(now)

    def _is_quiet(self, now: float) -> bool:
        """Whether nothing is to be expected but beats, their answers and the job's end."""
        if self._workers.pid or self._leave is not None or self._pidfd is None or self._is_worker_needed(now):
            return False
        return self._beats.descriptor(now) not in (None, -1) and self._beats.is_at_rest

    def _doze(self, lull: "Lull", now: float) -> "List[int]":
        """Beat and take answers until something else happens; the descriptors that are ready and were not read."""
        beats = self._beats
        assert self._pidfd is not None
        self._listen([self._pidfd, beats.bell])
        pause = max(0, int((beats.next - now) * 1000) + 1)
        ready = lull.last(self._waiting.poll, [(beats.bell, select.POLLIN)], pause, self._look)
        beats.resume(lull, time.monotonic())
        return [descriptor for descriptor, _ in ready]

    def _look(self) -> "Optional[Tuple[bytes, int]]":
        """What the next beat says, and how many after it; None when a worker must tell of progress."""
        is_still = self._health.is_still()
        if self._must_look or not is_still:
            self._look_at_progress(time.monotonic())
        if self._has_progress:
            return None
        return self._beats.body(is_still), AS_STILL if is_still else AS_BEFORE

    def _listen(self, wanted: "List[int]") -> None:
        if wanted != self._waited_for:
            self._waited_for, self._waiting = wanted, select.poll()
            for descriptor in wanted:
                self._waiting.register(descriptor, select.POLLIN)

    def _attend(self, now: float) -> None:
        """Have a worker where one is needed, and no dead one."""
        if self._workers.pid and now - self._beats.rung_at > _DEAF_WORKER:
            self._beats.rung_at = now
            self._workers.stop()
        if not self._workers.pid and now >= self._workers.next_start and self._is_worker_needed(now):
            self._facts["is_brief"] = self._leave is None and self._beats.has_session and not self._beats.is_rung
            self._workers.start()

    def _is_worker_needed(self, now: float) -> bool:
        return self._leave is not None or self._beats.must_register(now) or self._has_progress

    def _hear_worker(self) -> "Optional[int]":
        """Take what the worker says; its exit status, where it has ended."""
        said = self._workers.hear()
        if said is None:
            self._health.renew()
            return self._workers.reap()
        if "progress" in said:
            self._facts["progress"] = said["progress"]
            self._has_progress = False
        elif "renewed" in said:
            self._facts["renewed"] = said["renewed"]
        else:
            self._beats.begin(said)
        return None

    def _look_at_progress(self, now: float) -> None:
        """Need a worker when the job has written progress that none has read."""
        self._must_look = bool(self._facts["log"])
        if now - self._told_progress < _PROGRESS_EVERY:
            return
        if self._workers.pid or not self._facts["log"]:
            return
        self._must_look = False
        try:
            status = os.stat(self._facts["log"], dir_fd=self._facts["descriptors"]["sandbox"], follow_symlinks=False)
        except OSError:  # the job has removed it
            return
        read = self._facts["progress"]
        if status.st_size and (read is None or read[0] != (status.st_ino, status.st_size, status.st_mtime_ns)):
            self._has_progress = True
            self._told_progress = now

    def _wait(self, now: float) -> "List[int]":
        """Sleep until something happens, or the next thing is due; the descriptors that are ready."""
        wanted = []
        timeouts = []
        if self._workers.pid:
            wanted.append(self._workers.words)
            timeouts.append(self._beats.rung_at + _DEAF_WORKER)
        elif self._is_worker_needed(now):
            timeouts.append(self._workers.next_start)
        else:
            timeouts.append(self._beats.register_at)
        if self._leave is not None:
            timeouts.append(self._leave)
            if self._ending is not None:
                timeouts.append(now + self._ending.interval)
        else:
            timeouts.append(self._beats.next)
            if self._pidfd is not None:
                wanted.append(self._pidfd)
            else:
                timeouts.append(now + _LOOK)
        bell = self._beats.descriptor(now)
        if bell is None:
            pass
        elif bell >= 0:
            wanted.append(bell)
        else:
            timeouts.append(now + _FLOODED)
        due = min(timeouts)
        # Rounded up, so as not to wake too soon; while the end is looked for, rather too soon than killed before.
        timeout = None if due == NEVER else max(0, int((due - now) * 1000) + (self._ending is None))
        self._listen(wanted)
        return [descriptor for descriptor, _ in self._waiting.poll(timeout)]

    def _is_over(self, ready: "List[int]") -> bool:
        if self._pidfd is not None:
            return self._pidfd in ready
        try:
            with open("/proc/%d/stat" % self._facts["pid"], "rb", 0) as file:
                fields = file.read(4096).rpartition(b")")[2].split()
        except OSError:
            return True
        return fields[0] in (b"Z", b"X") or int(fields[19]) != self._facts["starttime"]

    def _end(self) -> None:
        """The job is over: tell at once what is known, and have a worker report the rest."""
        facts = self._facts
        facts["ended"] = time.time()
        self._hold_waiter()
        now = time.monotonic()
        self._leave = now + _LEAVE_AFTER
        waiter = facts["status"] if facts["mode"] == "wrap" else None
        self._ending = Ending(facts["pid"], facts["starttime"], self._pidfd, waiter, facts["descriptors"].get("trap"))
        self._tell_end(now)
        if self._ending is not None:
            self._beats.bye(facts["ended"], 0, "unknown")
            self._workers.next_start = max(self._workers.next_start, now + _HEAD_START)

    def _tell_end(self, now: float) -> None:
        """Tell how the job ended, once that is known: by datagram, and whichever worker comes."""
        assert self._ending is not None
        told = self._ending.look()
        if told is not None:
            self._ending = None
            self._facts["told"] = told
            self._beats.bye(self._facts["ended"], told[0] or 0, told[1])
            self._workers.next_start = now

    def _hold_waiter(self) -> None:
        """Have the waiter of wrap mode live on until a worker has told of the end; one second at most."""
        if self._facts["mode"] == "wrap":
            try:
                os.write(self._facts["status"], BUSY)
            except OSError:  # it has gone
                pass

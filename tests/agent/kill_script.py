"""Kill where numbers are used again at once: in a namespace of its own, in whichever Python runs this: 3.6 and up.

    unshare --pid --fork --mount-proc python -I -S kill_script.py AGENT_DIRECTORY STORMS CHAINS NAIVE

Prints one line of JSON for the test to judge.  Process 1 of the namespace reaps
what is left to it, and takes everything with it at its end.
"""

import contextlib
import json
import mmap
import os
import random
import signal
import struct
import sys
import time

sys.path.insert(0, sys.argv[1])

from jobmon_agent import members, pidfd, signals
from jobmon_agent.job import Job, VerbFailure
from jobmon_agent.members import Members
from jobmon_agent.pidfd import open_pidfd
from jobmon_agent.pidstat import start_time
from jobmon_agent.proc import read_process
from jobmon_agent.signals import Target, send
from jobmon_agent.verbs import VERBS as KNOWN
from jobmon_wire.verbs import VERBS, check_arguments

FUNCTIONS = dict(KNOWN)  # imported before anything is measured or watched

NO_SUCH_CALL = 100000
LIFE = 0.03  # s, the longest of a process in a storm
AGAIN = 0.03  # s after which numbers are used again; more than one tick, by which the kernel counts start times
FIRST = 400  # the first of the numbers that are used again and again
PATIENCE = 60.0  # s for all storms
IDLE = 300  # processes beside a chain, so that a look at all of them takes longer than a link lives


def forked(work, *arguments):
    """A child in a session of its own that does the work and ends."""
    pid = os.fork()
    if not pid:
        status = 1
        try:
            os.setsid()
            work(*arguments)
            status = 0
        finally:
            os._exit(status)
    while os.getsid(pid) != pid:  # until then it is in the group that stands for the agent's
        time.sleep(0.0001)
    return pid


def end_all(pids):
    for pid in pids:
        end(pid)


def sleep():
    time.sleep(60)


def job_of(pid):
    members._remembered.clear()
    root = os.open("/", os.O_RDONLY)
    return Job("job-%d" % pid, pid, start_time(pid), open_pidfd(pid), root, "/", None, None, os.getpgrp(), "exec")


def kill(job, **arguments):
    (answer,) = [payload for _, payload in FUNCTIONS["kill"](job, check_arguments(VERBS["kill"], arguments))]
    return answer


def use_next(number):
    with open("/proc/sys/kernel/ns_last_pid", "w") as file:
        file.write(str(number - 1))


def end(pid):
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def used_again():
    """A member's number is taken over by another between the list and the signal."""
    pid = forked(sleep)
    job = job_of(pid)
    target = Target(pid, read_process(pid).starttime)
    end(pid)
    time.sleep(0.03)  # start times are counted in ticks of 10 ms
    for _ in range(10):  # somebody else may be given the number first
        use_next(pid)
        stranger = forked(sleep)
        if stranger == pid:
            break
        end(stranger)
    told = {
        "same number": stranger == pid,
        "sent": send(job, target, signal.SIGKILL),
        "member": stranger in Members(job).scan(),
        "killed": kill(job, signal="KILL"),
        "lives": os.waitpid(stranger, os.WNOHANG) == (0, 0),
    }
    os.kill(stranger, signal.SIGTERM)  # the control: by its number it is reached
    told["reached by number"] = os.waitpid(stranger, 0)[1] == signal.SIGTERM
    return told


def used_again_within():
    """A member's number is taken over by another member between the list and the signal for that one process."""
    asked, asks = os.pipe()
    tells, telling = os.pipe()

    def fork_when_asked():
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombie keeps its number
        while os.read(asked, 1):
            child = os.fork()
            if not child:
                sleep()
            os.write(telling, b"%8d" % child)

    def another():
        os.write(asks, b"!")
        return int(os.read(tells, 8))

    job = job_of(forked(fork_when_asked))
    pid = another()
    (listed,) = [payload for _, payload in FUNCTIONS["ps"](job, check_arguments(VERBS["ps"], {}))]
    started = next(row["started_exactly"] for row in listed["processes"] if row["pid"] == pid)
    os.kill(pid, signal.SIGKILL)
    while read_process(pid):
        time.sleep(0.001)
    time.sleep(0.03)  # start times are counted in ticks of 10 ms
    for _ in range(10):  # somebody else may be given the number first
        use_next(pid)
        later = another()
        if later == pid:
            break
        os.kill(later, signal.SIGKILL)
    told = {"same number": later == pid, "member": later in Members(job).scan()}
    try:
        told["said"] = kill(job, pid=pid, started=started, signal="KILL")
    except VerbFailure as failure:
        told["said"] = failure.message
    told["lives"] = read_process(pid) is not None
    told["meant"] = kill(job, pid=pid, signal="KILL")  # the control: whoever has the number now
    told["lives then"] = read_process(pid) is not None
    end(job.pid)
    return told


def refused():
    """Numbers that are no process of a job, and the agent's own."""
    job = job_of(forked(sleep))
    own = os.fork()
    if not own:
        sleep()
    pids = [1, 0, -1, os.getpid(), own]
    sent = [send(job, Target(pid, start_time(pid) if pid > 0 else 0), 0) for pid in pids]
    told = {"sent": sent, "itself": send(job, Target(job.pid, job.starttime), 0)}
    end(own)
    end(job.pid)
    return told


def whole_tree():
    """A tree with a daemon in it ends by one kill, the bystander does not."""

    def become_tree():
        environment = {"JOBMON_JOB_ID": "job-%d" % os.getpid(), "PATH": os.environ["PATH"]}
        line = "(setsid sleep 60 &); sleep 60 & wait"
        os.execve("/bin/sh", ["sh", "-c", line], environment)

    bystander = forked(sleep)
    job = job_of(forked(become_tree))
    deadline = time.monotonic() + 10
    while sum(not process.is_dead for process in Members(job).scan().values()) != 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.02)
    answer = kill(job, signal="TERM")
    told = {"answer": [len(answer["sent"]), answer["killed"], answer["left"]], "status": os.waitpid(job.pid, 0)[1]}
    told["bystander lives"] = os.waitpid(bystander, os.WNOHANG) == (0, 0)
    end(bystander)
    return told


class Counters:
    """Numbers that processes share."""

    def __init__(self):
        # A file without a name; Python 3.6 has no memfd_create.
        self.descriptor = os.open("/tmp", os.O_TMPFILE | os.O_RDWR)
        os.ftruncate(self.descriptor, 4096)
        os.set_inheritable(self.descriptor, True)
        self._memory = mmap.mmap(self.descriptor, 4096)

    def add(self, at):
        self.put(at, self[at] + 1)

    def put(self, at, value):
        struct.pack_into("Q", self._memory, at * 8, value)

    def __getitem__(self, at):
        return struct.unpack_from("Q", self._memory, at * 8)[0]


UNSEEN = 30  # looks at all processes that show no link of a chain that has ended
LANES = 4  # of storms at a time
BURST = 8  # forks of one storm
LINKS, HIT = 0, LANES  # slots of counters; each lane has one

# Each link ends when it has forked the next; the whole ends by itself.
CHAIN = """
import mmap, os, struct, time
memory, count, end = mmap.mmap(%d, 4096), 0, time.monotonic() + 20
while time.monotonic() < end:
    if os.fork():
        os._exit(0)
    %s
    count += 1
    struct.pack_into("Q", memory, 0, count)
"""


def chain(has_sessions):
    """How many kills end a chain of forks that live for no time."""
    counters = Counters()

    def become_link():
        environment = {"JOBMON_JOB_ID": "job-%d" % os.getpid()}
        code = CHAIN % (counters.descriptor, "os.setsid()" if has_sessions else "")
        os.execve(sys.executable, [sys.executable, "-I", "-S", "-c", code], environment)

    def goes_on():
        """Whether there is another link; on a busy machine the next may be long in coming."""
        before, unseen = counters[LINKS], 0
        while unseen < UNSEEN:
            if counters[LINKS] != before:
                return True
            unseen = 0 if any(is_link(pid) for pid in os.listdir("/proc") if pid.isdigit()) else unseen + 1
            time.sleep(0.001)
        return False

    def is_link(pid):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as file:
                return b"mmap.mmap(%d," % counters.descriptor in file.read()
        except OSError:
            return False

    job = job_of(forked(become_link))
    os.waitpid(job.pid, 0)
    for kills in range(10):
        if not goes_on():
            return {"kills": kills, "links": counters[LINKS]}
        kill(job, signal="KILL")
    return {"kills": -1, "links": counters[LINKS]}


def storm(storms, is_naive):
    """Forks of a job and of strangers that take each other's numbers, while signals go to the job."""
    counters = Counters()

    def is_over():
        return sum(counters[lane] for lane in range(LANES)) >= storms or bool(is_naive and counters[HIT])

    def burst():
        children = []
        for _ in range(BURST):
            pid = os.fork()
            if not pid:
                time.sleep(random.random() * LIFE)
                os._exit(0)
            children.append(pid)
        return [os.waitpid(pid, 0)[1] for pid in children]

    def one_lane(lane):
        while not is_over():
            counters.add(lane)
            pid = os.fork()
            if not pid:
                signal.signal(signal.SIGUSR1, signal.SIG_DFL)
                burst()
                os._exit(0)
            os.waitpid(pid, 0)

    def work():
        lanes = [forked(one_lane, lane) for lane in range(LANES)]
        for pid in lanes:
            os.waitpid(pid, 0)

    def strangers():
        while not is_over():
            if any(burst()):
                counters.add(HIT)

    def reuse():
        while not is_over():
            use_next(FIRST)
            time.sleep(AGAIN)

    beside = [forked(strangers), forked(reuse)]
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # what forks is not to be ended, only what it forks
    job = job_of(forked(work))
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    kills, deadline = 0, time.monotonic() + PATIENCE
    while not is_over():
        assert time.monotonic() < deadline
        if is_naive:
            for pid in [process.pid for process in Members(job).scan().values()]:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGUSR1)
        else:
            kill(job, signal="USR1")
        kills += 1
    for pid in beside + [job.pid]:
        os.waitpid(pid, 0)
    return {"hit": counters[HIT], "kills": kills}


def main(storms, chains, is_naive):
    if is_naive:
        return {"naive": storm(storms, True)}
    native = hasattr(os, "pidfd_open")
    told = {"native": native, "ways": []}
    ways = ["as it is", "without os.pidfd_open", "without pidfd"]
    for way in ways:
        if way != "as it is":
            for module, name in ((os, "pidfd_open"), (signal, "pidfd_send_signal")):
                if hasattr(module, name):
                    delattr(module, name)
        if way == "without pidfd":
            pidfd._SYSCALL = signals._PIDFD_SEND_SIGNAL = NO_SUCH_CALL
        found = {
            "way": way,
            "again": used_again(),
            "within": used_again_within(),
            "refused": refused(),
            "tree": whole_tree(),
        }
        found["has pidfd"] = open_pidfd(os.getpid()) is not None
        if way == "as it is":
            found["storm"] = storm(storms, False)
            idle = [forked(sleep) for _ in range(IDLE)]
            found["chains"] = [chain(has_sessions) for has_sessions in (False, True) for _ in range(chains)]
            for pid in idle:
                end(pid)
        told["ways"].append(found)
    return told


if os.getpid() == 1:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    worker = os.fork()
    if worker:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(worker, 0)
        os._exit(0)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    print(json.dumps(main(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "naive")))
    sys.stdout.flush()

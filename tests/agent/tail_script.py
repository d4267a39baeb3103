"""Tails of one real job, in whichever Python runs this: 3.6 and up.

    python -I -S tail_script.py AGENT_DIRECTORY SANDBOX SEED measures|lives

Prints one line of JSON for the tests to judge.  The job's part is played here,
between two frames of the answer, so that what comes between two looks is
certain and nothing has to be waited for.
"""

import ctypes
import json
import os
import random
import resource
import signal
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, sys.argv[1])

from jobmon_agent import follower, lookout
from jobmon_agent.job import Job
from jobmon_agent.pidfd import open_pidfd
from jobmon_agent.pidstat import start_time
from jobmon_agent.verbs import VERBS as KNOWN
from jobmon_wire import frames
from jobmon_wire.cursor import NOWHERE, Cursor, Trail
from jobmon_wire.verbs import VERBS, check_arguments

FUNCTIONS = dict(KNOWN)  # imported before anything is measured or watched

STUCK = 90  # s; a tail that does not bring what it must hangs
NEWUSER = 0x10000000  # of unshare
LINES = 40  # whose latency is measured
SCHEDULES = 125  # with eight Pythons they are a thousand
DISCONNECTS = 125
ROTATE_EVERY = 12  # disconnects
TICKS = 0.012  # s; three ticks of the kernel's clock at least, so that times of files tell their order
USUAL = (lookout.SPACING, lookout.LIGHT_SPACING, lookout.POLL, follower.LINGER, lookout.open_inotify)


class Follow:
    """An answer under way, taken frame by frame."""

    def __init__(self, job, file, **arguments):
        checked = check_arguments(VERBS["tail"], dict(arguments, file=file, follow=True))
        self._answer = FUNCTIONS["tail"](job, checked)
        self.told = []
        self._trail = Trail(NOWHERE)

    def next(self):
        """One frame; its bytes."""
        type_, payload = next(self._answer)
        if type_ == frames.DATA:
            self._trail.feed(payload)
            self.told.append(payload)
            return payload
        if "cursor" in payload:
            self._trail = Trail(Cursor.read(payload["cursor"]))
        self.told.append(payload)
        return b""

    def until(self, end):
        """Take frames until one ends so."""
        while not self.next().endswith(end):
            pass

    def rest(self):
        for _ in self._answer:
            pass

    def leave(self):
        """Cut it off; where to go on."""
        self._answer.close()
        return self._trail.cursor().text()

    @property
    def kinds(self):
        return [part["kind"] for part in self.told if isinstance(part, dict) and part["kind"] != "at"]

    @property
    def data(self):
        return b"".join(part for part in self.told if isinstance(part, bytes))


class Log:
    """A job's log, and what may be done to it."""

    def __init__(self, job, name):
        self.path = os.path.join(job.sandbox_path, name)
        self.number = 0
        self._file = self._opened()

    def write(self, lines=1):
        """Append numbered lines in one write; the last of them."""
        line = b""
        text = []
        for _ in range(lines):
            line = b"line %07d\n" % self.number
            self.number += 1
            text.append(line)
        self.put(b"".join(text))
        return line

    def put(self, data):
        """Append bytes, in one write."""
        os.write(self._file, data)

    def reopen(self):
        os.close(self._file)
        self._file = self._opened()

    def shift(self):
        """Rotate as logrotate does: .1 becomes .2 and so on."""
        for number in range(60, 0, -1):
            if os.path.exists(f"{self.path}.{number}"):
                os.rename(f"{self.path}.{number}", f"{self.path}.{number + 1}")
        os.rename(self.path, self.path + ".1")
        self.reopen()

    def overwrite(self):
        """Rotate and keep one old part."""
        os.rename(self.path, self.path + ".old")
        self.reopen()

    def remove(self):
        os.unlink(self.path)

    def recreate(self):
        os.unlink(self.path)
        self.reopen()

    def replace(self):
        """Put a new file in its place."""
        with open(self.path + "~new", "wb"):
            pass
        os.rename(self.path + "~new", self.path)
        self.reopen()

    def truncate(self):
        os.ftruncate(self._file, 0)

    def regrow(self):
        """Truncate, and grow past where it was."""
        lines = self.size() // 13 + 1
        self.truncate()
        self.write(lines)

    def size(self):
        return os.fstat(self._file).st_size

    def close(self):
        os.close(self._file)

    def _opened(self):
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)


def start(sandbox):
    os.makedirs(sandbox)
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=sandbox)
    root = os.open(sandbox, 0o10000000 | os.O_DIRECTORY)
    pid = process.pid
    real = os.path.realpath(sandbox)
    return process, Job("u", pid, start_time(pid), open_pidfd(pid), root, real, None, None, os.getpgrp(), "exec")


def latencies(job, name):
    """Seconds from a write to its coming out of the tail, of a program that writes some 30 lines a second."""
    path = os.path.join(job.sandbox_path, name)
    with open(path, "wb", 0) as file:

        def write():
            chance = random.Random(name)
            for _ in range(LINES):
                # Not in step with any clock of the lookout's.
                time.sleep(0.02 + chance.random() * 0.02)
                file.write(b"%.9f\n" % time.monotonic())

        follow = Follow(job, name)
        follow.next()
        writer = threading.Thread(target=write)
        writer.start()
        found = []
        while len(found) < LINES:
            found += [time.monotonic() - float(word) for word in follow.next().split()]
        writer.join()
        follow.leave()
    os.unlink(path)
    return {"median": statistics.median(found), "most": max(found)}


def without_inotify(job, name):
    """As ``latencies``, in a process whose user has no inotify instance left."""
    pipe, end = os.pipe()
    child = os.fork()
    if not child:
        try:
            answer = None
            if not ctypes.CDLL(None).unshare(NEWUSER):
                with open("/proc/sys/user/max_inotify_instances", "w") as file:
                    file.write("0")
                answer = latencies(job, name) if lookout.open_inotify() is None else None
            os.write(end, json.dumps(answer).encode())
        finally:
            os._exit(0)
    os.close(end)
    told = os.read(pipe, 4096)
    os.close(pipe)
    os.waitpid(child, 0)
    return json.loads(told.decode() or "null")


def at_once(is_blind=False):
    """Look as often as possible, so that a thousand schedules take seconds."""
    lookout.SPACING = lookout.LIGHT_SPACING = follower.LINGER = 0
    lookout.POLL = 0.001
    lookout.open_inotify = (lambda: None) if is_blind else USUAL[-1]


def as_usual():
    lookout.SPACING, lookout.LIGHT_SPACING, lookout.POLL, follower.LINGER, lookout.open_inotify = USUAL


def scenario(job, name, change, end=b"\n", **arguments):
    """Follow a log, change it between two looks, and give what was seen after that."""
    log = Log(job, name)
    log.write(3)
    follow = Follow(job, name, **arguments)
    follow.until(b"line 0000002\n")
    del follow.told[:]
    change(log)
    log.write()
    follow.until(b"%07d" % (log.number - 1) + end)
    follow.leave()
    log.close()
    return {"kinds": follow.kinds, "data": follow.data.decode("latin-1"), "notes": notes(follow)}


def notes(follow):
    return [part for part in follow.told if isinstance(part, dict) and part["kind"] != "at"]


def rotate_slowly(log):
    log.write(2)
    log.shift()


def rotate_twice(log):
    """Twice between two looks, the one between still there."""
    for _ in range(2):
        time.sleep(TICKS)
        log.shift()
        log.write(2)


def rotate_away(log):
    """Twice between two looks, the one between gone."""
    for _ in range(2):
        log.overwrite()
        log.write(2)


def write_far(log):
    """As a job does that does not append: its log was truncated and it goes on where it was."""
    size = log.size()
    log.truncate()
    with open(log.path, "r+b", 0) as file:
        file.seek(size + 10001 - 39)
        file.write(b"far\n")


def split(log):
    for byte in "zw\u00f6lf Boxk\u00e4mpfer \u6587\u5b57\n".encode("utf-8"):
        log.put(bytes([byte]))


def binary(log):
    log.put(bytes(range(256)) * 300)


def unlink_and_write(log):
    log.remove()
    log.write(2)


def big_hole(log):
    with open(log.path, "r+b", 0) as file:
        file.seek(10 * 2**30)
        file.write(b"far\n")


def scenarios(job):
    at_once()
    found = {
        change.__name__: scenario(job, "s-" + change.__name__, change)
        for change in (rotate_slowly, rotate_twice, rotate_away, Log.truncate, Log.regrow, Log.recreate, Log.replace)
        + (write_far, split, binary, unlink_and_write, big_hole)
    }
    at_once(is_blind=True)
    found["blind"] = scenario(job, "s-blind", rotate_twice)
    as_usual()
    return found


def schedule(job, seed):
    """One random life of a log; what was wrong about its tail."""
    chance = random.Random(seed)
    is_blind = seed % 3 == 0
    at_once(is_blind)
    name = f"m{seed}.log"
    log = Log(job, name)
    changes = [Log.write, Log.write, Log.shift, Log.truncate, Log.regrow]
    # What comes and goes without a trace between two looks cannot be seen by looking.
    changes += [] if is_blind else [Log.replace, Log.overwrite, Log.recreate]
    follow = Follow(job, name)
    follow.next()
    told, done = [], [str(seed)]
    for _ in range(8):
        is_cut = chance.random() < 0.15
        has_new = not told and not follow.data
        for _ in range(chance.choice([0, 1, 1, 1, 2, 3])):
            change = chance.choice(changes)
            if has_new and change in (Log.truncate, Log.regrow):
                continue  # what was never looked at is truncated without a trace, too
            if is_cut and has_new and change in (Log.replace, Log.recreate):
                continue  # and so is what is removed while nobody looks
            has_new = has_new or change in (Log.shift, Log.replace, Log.overwrite, Log.recreate)
            done.append(change.__name__)
            change(log)
            if chance.random() < 0.8:
                log.write(chance.randrange(1, 4))
            if chance.random() < 0.05:
                time.sleep(TICKS)
        if is_cut:
            done.append("resume")
            cursor = follow.leave()
            told += follow.told
            follow = Follow(job, name, resume=cursor)
        done.append("look")
        follow.until(log.write())
    follow.leave()
    log.close()
    as_usual()
    return wrong(told + follow.told, log.number, done)


def wrong(told, lines, done):
    """Lines that were repeated, or missed without a word."""
    last, excuse = -1, False
    for part in told:
        if isinstance(part, dict):
            excuse = excuse or part["kind"] in ("gap", "truncated")
            continue
        for line in part.split(b"\n")[:-1]:
            number = int(line[5:])
            if number <= last or (number != last + 1 and not excuse):
                return f"line {number} after line {last}: {' '.join(done)}"
            last, excuse = number, False
    return "" if last == lines - 1 else f"ended at line {last} of {lines}"


def spurious(job, seed):
    """Changes that lose nothing, each seen before the next; the notes that should not have come."""
    chance = random.Random(seed)
    at_once(seed % 2 == 0)
    name = f"q{seed}.log"
    log = Log(job, name)
    follow = Follow(job, name)
    for _ in range(12):
        time.sleep(TICKS)  # else their order is in doubt, and doubt is told
        chance.choice([Log.write, Log.shift, Log.overwrite, Log.recreate, Log.replace])(log)
        follow.until(log.write())
    follow.leave()
    log.close()
    as_usual()
    return [kind for kind in follow.kinds if kind not in ("rotated", "unlinked")]


def disconnects(job, seed):
    """A reader that is cut off again and again, while the job writes and rotates; whether all lines came in order."""
    at_once()
    chance = random.Random(seed)
    before = len(os.listdir("/proc/self/fd"))
    log = Log(job, "resumed")
    cursor, data, kinds = NOWHERE.text(), [], []
    for number in range(DISCONNECTS):
        follow = Follow(job, "resumed", resume=cursor)
        log.write(1000)
        for _ in range(chance.randrange(1, 6)):
            if not follow.next():
                continue
            log.write(1000)
        if number % ROTATE_EVERY == 5:
            log.shift()
            log.write(500)
        cursor = follow.leave()
        data.append(follow.data)
        kinds += follow.kinds
    follow = Follow(job, "resumed", resume=cursor)
    follow.until(log.write())
    follow.leave()
    log.close()
    as_usual()
    data.append(follow.data)
    lines = b"".join(data).split(b"\n")[:-1]
    return {
        "lines": log.number,
        "is_equal": lines == [b"line %07d" % number for number in range(log.number)],
        "kinds": kinds,
        "descriptors": len(os.listdir("/proc/self/fd")) - before,
    }


PROMISED = 0.02  # s of CPU for the last lines
SLOW_SPELL = 10.0  # s that a shared machine may be several times slower than it is


def cpu(job, name, write):
    """CPU seconds for the last ten lines."""
    path = os.path.join(job.sandbox_path, name)
    with open(path, "wb") as file:
        write(file)
    found = []
    end_of_patience = time.monotonic() + SLOW_SPELL
    while len(found) < 15 or (min(found) > PROMISED and time.monotonic() < end_of_patience):
        start = resource.getrusage(resource.RUSAGE_SELF)
        size = 0
        for type_, payload in FUNCTIONS["tail"](job, check_arguments(VERBS["tail"], {"file": name})):
            size += len(payload) if type_ == frames.DATA else 0
        end = resource.getrusage(resource.RUSAGE_SELF)
        found.append(end.ru_utime - start.ru_utime + end.ru_stime - start.ru_stime)
    os.unlink(path)
    return {"seconds": min(found), "bytes": size}


def sparse(file):
    file.seek(10 * 2**30)
    file.write(b"line\n" * 10)


def one_line(file):
    for _ in range(64):
        file.write(b"x" * 2**20)


def sparse_tail(file):
    file.write(b"start\n")
    file.seek(10 * 2**30)
    file.write(b"end\n")


def hangs(number, frame):
    raise AssertionError("a tail does not bring what it must")


def measures(job, seed):
    return {
        "told": latencies(job, "told"),
        "blind": without_inotify(job, "blind"),
        "sparse": cpu(job, "sparse", sparse),
        "one_line": cpu(job, "line", one_line),
        "hole": cpu(job, "hole", sparse_tail),
    }


def lives(job, seed):
    return {
        "scenarios": scenarios(job),
        "wrong": [schedule(job, seed + number) for number in range(SCHEDULES)],
        "spurious": [spurious(job, seed + number) for number in range(10)],
        "disconnects": disconnects(job, seed),
    }


def main(sandbox, seed, part):
    signal.signal(signal.SIGALRM, hangs)
    signal.alarm(STUCK)
    process, job = start(sandbox)
    try:
        found = part(job, seed)
    finally:
        process.stdin.close()
        process.wait()
    print(json.dumps(found))


main(sys.argv[2], int(sys.argv[3]), {"measures": measures, "lives": lives}[sys.argv[4]])

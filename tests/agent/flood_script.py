"""A job that writes a million lines a second, and a follow of it, in whichever Python runs this: 3.6 and up.

    python -I -S flood_script.py AGENT_DIRECTORY SANDBOX SECONDS another|all|slowly

``another`` is the control: as much is read at the same time, of another file.
Two processes on one machine, be it only by the processor's caches, slow each
other; only what is dearer than that is the follow's doing.

Prints one line of JSON for the test to judge: how many seconds of the job's
writes it was held up, how many lines it wrote for a second of its CPU when it
was fastest, and what its follower saw: also in which share of its reads the
kernel still had to tell it of the job's next write.
"""

import json
import os
import subprocess
import sys
import time

sys.path.insert(0, sys.argv[1])

from jobmon_agent.job import Job
from jobmon_agent.pidfd import open_pidfd
from jobmon_agent.pidstat import start_time
from jobmon_agent.verbs import VERBS as KNOWN
from jobmon_wire import frames
from jobmon_wire.verbs import VERBS, check_arguments

FUNCTIONS = dict(KNOWN)  # imported before anything is measured or watched

# The kernel tells how long a process computed and how long it waited for a processor; what is left of the time
# that its writes take, something has held them up.
WRITER = """
import os, sys, time
line = b"a line of sixty-four bytes, as long as one of a usual log is".ljust(63) + bytes([10])
block = line * 64  # 4 KiB, what the C library writes at once
told = os.open("/proc/self/schedstat", os.O_RDONLY)
sys.stdin.read()  # whoever follows has begun
def passed():
    queued = int(os.pread(told, 100, 0).split()[1]) / 1e9
    return time.process_time(), time.monotonic() - queued
start, due, written, held, pace, best = time.monotonic(), 0, 0, 0.0, [0, 0.0], 0.0
while due < float(sys.argv[1]) * 1000000:
    due = (time.monotonic() - start) * 1000000  # lines
    (used, begun), before = passed(), written
    while written < due:
        os.write(1, block)
        written += 64
    now, end = passed()
    held += max(0.0, end - begun - (now - used))
    pace = [pace[0] + written - before, pace[1] + now - used]
    if pace[0] > 10000:
        best, pace = max(best, pace[0] / pace[1]), [0, 0.0]
    time.sleep(0.002)
os.write(2, b"%d %.6f %.1f" % (written, held, best))
"""
RATE = 64000000  # bytes/s, what the writer writes
CHUNK = 65536  # bytes
OTHER = 512  # chunks of the other file: as large as the job's gets in half a second, and as little in the caches
SLOW = 0.01  # s a frame; 6 MB/s are read of 64 that are written
MODIFY = 0x2  # of inotify


def memory():
    """Resident bytes of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def watches():
    """How many files the kernel tells this process of when they are written to."""
    found = 0
    for name in os.listdir("/proc/self/fdinfo"):
        try:
            with open("/proc/self/fdinfo/" + name) as file:
                words = [line.split() for line in file if line.startswith("inotify ")]
        except OSError:  # that of the listing itself
            continue
        masks = [int(word[len("mask:") :], 16) for line in words for word in line if word.startswith("mask:")]
        found += sum(bool(mask & MODIFY) for mask in masks)
    return found


def follow(job, process, delay):
    seen, skipped, places, rss, told, frames_seen = 0, 0, [], [], 0, 0
    start, used = time.monotonic(), time.process_time()
    arguments = {"lines": 0, "follow": True, "latest": bool(delay)}
    for type_, payload in FUNCTIONS["tail"](job, check_arguments(VERBS["tail"], arguments)):
        process.stdin.close()
        if type_ == frames.DATA:
            seen += len(payload)
            time.sleep(delay)
            if delay:  # the job has written since
                frames_seen += 1
                told += watches() > 0
        elif payload["kind"] == "skipped":
            places.append(payload["at"] == seen + skipped)
            skipped += payload["bytes"]
        if time.monotonic() - start > 0.3:
            rss.append(memory())
    found = {"seen": seen, "skipped": skipped, "places": places, "grown": max(rss) - rss[0]}
    found["watched"] = told / max(frames_seen, 1)
    found["cpu"] = (time.process_time() - used) / (time.monotonic() - start)
    return found


def read_another(path, process):
    """Read a file over and over as fast as the job writes its own, until the job has ended."""
    other = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    for _ in range(OTHER):
        os.write(other, b"x" * CHUNK)
    process.stdin.close()
    start, done = time.monotonic(), 0
    while process.poll() is None:
        while done < (time.monotonic() - start) * RATE:
            done += len(os.pread(other, CHUNK, done % (CHUNK * OTHER)))
        time.sleep(0.002)
    os.unlink(path)
    return {}


def main(sandbox, seconds, how):
    os.makedirs(sandbox)
    path = os.path.join(sandbox, "out")
    out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", WRITER, seconds],
        cwd=sandbox,
        stdin=subprocess.PIPE,
        stdout=out,
        stderr=subprocess.PIPE,
    )
    root = os.open(sandbox, 0o10000000 | os.O_DIRECTORY)
    stdout = os.open(path, os.O_RDONLY)
    pid = process.pid
    real = os.path.realpath(sandbox)
    job = Job("u", pid, start_time(pid), open_pidfd(pid), root, real, stdout, None, os.getpgrp(), "exec")
    other = os.path.join(sandbox, "other")
    found = read_another(other, process) if how == "another" else follow(job, process, SLOW if how == "slowly" else 0)
    written, held, best = process.stderr.read().split()
    process.wait()
    found.update(lines=int(written), held=float(held), best=float(best), size=os.stat(path).st_size)
    os.unlink(path)
    print(json.dumps(found))


main(*sys.argv[2:])

"""The work of one demo job: ``python3 work.py KIND [SECONDS]``.

A copy of this file lies in each demo job's directory and runs there as a batch
job would, under whichever Python the node has (3.6 and up); so it imports the
standard library alone and knows JobMon only by the variable ``JOBMON_LOG``.
"""

import os
import resource
import signal
import sys
import time
from typing import TextIO

EVENT = 0.2  # s; one line of output
BLOCK = 64 * 1024  # bytes; the data file grows by one each BLOCK_EVERY
BLOCK_EVERY = 0.5  # s
LARGEST = 16 * 1024 * 1024  # bytes; a forgotten demo must not fill the disk
BUSY, IDLE = 0.05, 0.10  # s; a third of a core each: the demo leaves the machine usable


def main(kind: str, seconds: float) -> None:
    """Do one kind of work; ``seconds`` is when the kinds that end do so."""
    say(f"{kind}: process {os.getpid()} starts")
    KINDS[kind](seconds)


def say(text: str) -> None:
    """One line of output, with the moment of its writing in front."""
    _line(sys.stdout, text)


def progress(text: str) -> None:
    """One progress line, for ``jobmon log``."""
    log = os.environ.get("JOBMON_LOG")
    if log:
        with open(log, "a") as lines:
            lines.write(text + "\n")


def print_steadily(seconds: float) -> None:
    """Print an event five times a second."""
    event = 0
    while True:
        event += 1
        say(f"event {event}")
        if event % 25 == 1:
            progress(f"event {event}")
        if event % 50 == 0:
            _line(sys.stderr, f"warning: pedestal drifts in run {event // 50}")
        time.sleep(EVENT)


def compute(seconds: float) -> None:
    """Compute on two processes."""
    is_parent = os.fork() != 0
    rounds = 0
    while True:
        stop = time.time() + BUSY
        while time.time() < stop:
            sum(range(1000))
        time.sleep(IDLE)
        rounds += 1
        if is_parent and rounds % 50 == 1:
            progress(f"{rounds} rounds")
            say(f"{rounds} rounds")


def write_files(seconds: float) -> None:
    """Write a file that stays as it is and one that grows."""
    with open("calibration.dat", "wb") as fixed:
        fixed.write(bytes(range(256)) * 4096)
    with open("events.dat", "wb") as data:
        while True:
            if data.tell() < LARGEST:
                data.write(os.urandom(BLOCK))
                data.flush()
                if data.tell() % (10 * BLOCK) == 0:
                    progress(f"{data.tell() // BLOCK} blocks")
            time.sleep(BLOCK_EVERY)


def spawn_daemon(seconds: float) -> None:
    """Leave a process outside the job's session and tree, then go on."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            with open("daemon.pid", "w") as file:
                file.write(f"{os.getpid()}\n")
            while True:
                time.sleep(1)
        os._exit(0)
    os.wait()
    say("daemon started")
    while True:
        time.sleep(1)


def hang(seconds: float) -> None:
    """Sleep for ever without a word."""
    while True:
        signal.pause()


def fail(seconds: float) -> None:
    """Exit with 3."""
    time.sleep(seconds)
    _line(sys.stderr, "cannot open run 4711: no such run")
    sys.exit(3)


def crash(seconds: float) -> None:
    """Die by a signal."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    time.sleep(seconds)
    say("about to dereference a null pointer")
    os.kill(os.getpid(), signal.SIGSEGV)


def finish(seconds: float) -> None:
    """End well."""
    stop = time.time() + seconds
    while time.time() < stop:
        say(f"{stop - time.time():.0f} s to go")
        time.sleep(min(1.0, max(0.0, stop - time.time())))
    progress("100%")
    say("all events done")


def _line(stream: TextIO, text: str) -> None:
    stream.write(f"{time.time():.3f} {text}\n")
    stream.flush()


# In this order, so that the first few show most and each owner has one that stays.
KINDS = {
    "print": print_steadily,
    "compute": compute,
    "write": write_files,
    "hang": hang,
    "spawn": spawn_daemon,
    "fail": fail,
    "crash": crash,
    "finish": finish,
}

if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))

"""Shells beside one real job, in whichever Python runs this: 3.6 and up.

    python -I -S shell_script.py AGENT_DIRECTORY SANDBOX

Prints one line of JSON for the test to judge.
"""

import json
import os
import re
import select
import subprocess
import sys
import time

sys.path.insert(0, sys.argv[1])

from jobmon_agent import shell
from jobmon_agent.job import Job, VerbFailure
from jobmon_agent.performer import Performer, hanging
from jobmon_agent.pidfd import open_pidfd
from jobmon_agent.pidstat import start_time
from jobmon_agent.signals import kill
from jobmon_agent.verbs import VERBS as KNOWN
from jobmon_wire import frames, limits
from jobmon_wire.frames import Frame, FrameReader
from jobmon_wire.verbs import VERBS, check_arguments

FUNCTIONS = dict(KNOWN)  # imported before anything is measured or watched

REQUEST = bytes(range(16))
DEADLINE = 50.0  # s; the machine may be busy
UUID = "00000000-0000-4000-8000-000000000001"
FLOOD = 16 * limits.MIB  # bytes
PROMPT = "ready> "
SHELL = f"PS1='{PROMPT}' exec sh -i"  # the same prompt for every user


class Shell:
    """A shell under way, read as a reader with credit reads."""

    def __init__(self, job, **arguments):
        self.performer = Performer(
            REQUEST, FUNCTIONS["shell"], job, check_arguments(VERBS["shell"], arguments), 10.0, True
        )
        self.pid = self.performer._pid
        self.text = ""
        self.others = []
        self.printed = 0  # bytes

    def type(self, data, kind=frames.INPUT):
        self.performer.inlet.put(Frame(kind, REQUEST, data))

    def until(self, pattern):
        """Read until the pattern stands in what was printed since the last time; give it."""
        end = time.monotonic() + DEADLINE
        while True:
            found = re.search(pattern, self.text, re.DOTALL)
            if found:
                self.text = self.text[found.end() :]
                return found.group(1) if found.groups() else found.group()
            is_late = self.performer.is_done or time.monotonic() > end
            assert not is_late, (pattern, self.text, self.others)
            self.turn()

    def ask(self, line):
        """Type a line at a prompt and give what it prints."""
        self.type(line.encode() + b"\r")
        return self.until(r"\r\n(.*?)" + PROMPT).replace("\r\n", "\n").strip()

    def turn(self, keeps=True):
        """Take what has come."""
        self.performer.inlet.move()
        if self.performer.is_hungry and select.select([self.performer.pipe], [], [], 0.02)[0]:
            self.performer.read()
        for part in self.performer.release():
            (frame,) = FrameReader(frames.ANSWER).feed(part)
            if frame.type == frames.DATA:
                self.printed += len(frame.payload)
                self.text += frame.payload.decode("latin-1") if keeps else ""
                self.performer.grant(len(frame.payload))
            else:
                self.others.append(frame.document())

    def end(self):
        """Read to the END; give what else was told."""
        end = time.monotonic() + DEADLINE
        while not self.performer.is_done:
            assert time.monotonic() < end, (self.text, self.others)
            self.turn()
        self.leave()
        return self.others

    def leave(self):
        self.performer.stop()


def start(sandbox):
    """A job, and what the agent would hold of it."""
    process = subprocess.Popen(
        ["sleep", "300"],
        cwd=sandbox,
        env=dict(os.environ, JOBMON_JOB_ID=UUID, OF_THE_JOB="yes"),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: os.umask(0o027),
    )
    root = os.open(sandbox, 0o10000000 | os.O_DIRECTORY)
    time.sleep(0.05)  # until it has become the command
    pid, real = process.pid, os.path.realpath(sandbox)
    return process, Job(UUID, pid, start_time(pid), open_pidfd(pid), root, real, None, None, os.getpgrp(), "exec")


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return b") Z" not in file.read()
    except OSError:
        return False


def until(claim):
    begun = time.monotonic()
    while not claim():
        assert time.monotonic() < begun + DEADLINE, "not in time"
        time.sleep(0.005)
    return time.monotonic() - begun


def rss(pid):
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1)) * 1024


def first_steps(job):
    terminal = Shell(job, command=SHELL, term="xterm-256color", rows=33, columns=99)
    terminal.until(PROMPT)
    found = {
        "echo": terminal.ask("echo one two"),
        "place": terminal.ask("pwd"),
        "size": terminal.ask("stty size"),
        "variables": terminal.ask('echo "$OF_THE_JOB:$TERM:${JOBMON_JOB_ID-none}"'),
        "umask": terminal.ask("umask"),
        "rank": terminal.ask("cat /proc/self/oom_score_adj; nice"),
        "signals": terminal.ask("grep -E '^Sig(Blk|Ign)' /proc/self/status | tr -s '\\t\\n' '  '"),
        "session": terminal.ask('ps -o pid=,sid=,tpgid= -p $$ | tr -s " "').split(),
        "files": terminal.ask("ls /proc/self/fd"),
    }
    terminal.type(b'{"rows":50,"columns":132}', frames.RESIZE)
    found["resized"] = terminal.ask("stty size")
    latencies = []
    for _ in range(20):
        begun = time.monotonic()
        terminal.type(b"x")
        terminal.until("x")
        latencies.append(time.monotonic() - begun)
    terminal.type(b"\x15")  # ^U takes them back
    found["latency"] = sorted(latencies)[10]
    # Each key ends a program that would run for long, and the shell lives.
    for name, key in (("interrupt", b"\x03"), ("quit", b"\x1c"), ("stop", b"\x1a")):
        terminal.type(b"sh -c 'echo go; exec sleep 300'\r")
        terminal.until(r"\ngo\r\n")
        terminal.type(key)
        terminal.until(PROMPT)
        found[name] = terminal.ask("echo alive")
    terminal.type(b"exit 7\rexit 7\r")  # the first is warned of the stopped one
    found["exit"] = terminal.end()
    return found


def pipes(job):
    counting = Shell(job, terminal=False, command="wc -c; exit 3")
    payload = bytes(range(256)) * 128
    counting.type(payload)
    counting.type(payload)
    counting.type(b"")
    counted = counting.end()
    script = Shell(job, terminal=False)
    script.type(b"echo hostname; tty\n")
    script.type(b"")
    said = script.end()
    killed = Shell(job, terminal=False, command="echo out; echo err >&2; kill -9 $$").end()
    missing = Shell(job, terminal=False, command="exec /no/such").end()
    return {"counted": [counting.text, counted], "script": [script.text, said], "killed": killed, "missing": missing}


def leaving(job, sandbox):
    """Everything that came of a shell ends with it, and nothing else."""
    bystander = subprocess.Popen(["sleep", "300"], stdin=subprocess.DEVNULL)
    terminal = Shell(job, command=SHELL)
    terminal.until(PROMPT)
    lines = (
        "sleep 300 & echo $! > plain",
        "nohup sleep 300 >/dev/null 2>&1 & echo $! > nohup",
        "setsid sh -c 'echo $$ > setsid; exec sleep 300' &",
        "(env -i setsid sh -c 'echo $$ > daemon; exec sleep 300' &)",
        "sh -c 'trap \"\" HUP TERM INT; echo $$ > deaf; sleep 300; sleep 300' &",
        "echo $$ > leader; sleep 300",  # in the foreground
    )
    for line in lines:
        terminal.type(line.encode() + b"\r")
    names = ("plain", "nohup", "setsid", "daemon", "deaf", "leader")
    paths = [os.path.join(sandbox, name) for name in names]
    until(lambda: all(os.path.exists(path) and os.path.getsize(path) for path in paths))
    pids = []
    for path in paths:
        with open(path) as file:
            pids.append(int(file.read()))
    before = [is_alive(pid) for pid in pids]
    terminal.leave()
    took = until(lambda: not any(map(is_alive, pids)))
    gone = until(lambda: not hanging() and not os.path.exists(f"/proc/{terminal.pid}"))
    left = [is_alive(job.pid), bystander.poll() is None]
    bystander.kill()
    bystander.wait()
    return {"before": before, "took": took, "gone": gone, "left": left}


def beside(job):
    """A shell is none of the job's: it is not shown, and a kill of the job leaves it."""
    terminal = Shell(job, command=SHELL)
    terminal.until(PROMPT)
    shown = [row["pid"] for _, record in FUNCTIONS["ps"](job, {}) for row in record["processes"]]
    (sent,) = [record["sent"] for _, record in kill(job, check_arguments(VERBS["kill"], {"signal": "USR1"}))]
    try:
        alone = list(kill(job, check_arguments(VERBS["kill"], {"signal": "USR1", "pid": terminal.pid})))
    except VerbFailure as failure:
        alone = failure.code
    return terminal, {"shown": shown, "sent": sent, "alone": alone}


def flood(job):
    """A program that prints without end meets a reader who takes nothing, then one who takes it all."""
    terminal = Shell(job, command=SHELL)
    terminal.until(PROMPT)
    before = rss(terminal.pid)
    terminal.type(b"yes 0123456789012345678901234567890123456789012345678901234567890123456789\r")
    terminal.until("0123")
    end = time.monotonic() + 0.3
    while time.monotonic() < end:  # nobody reads
        time.sleep(0.01)
    stalled = rss(terminal.pid)
    begun, usage = time.monotonic(), os.times()
    while terminal.printed < FLOOD:
        terminal.turn(keeps=False)
    took = time.monotonic() - begun
    after = rss(terminal.pid)
    terminal.text = ""
    terminal.type(b"\x03")
    terminal.until(PROMPT)
    terminal.leave()
    return {"grown": [stalled - before, after - before], "rate": FLOOD / took / 1e6, "cpu": os.times()[0] - usage[0]}


def forgotten(job):
    shell.IDLE = 0.3
    idle = Shell(job, command=SHELL).end()
    shell.IDLE = 1800.0
    broken = Shell(job, command=SHELL)
    broken.type(b'{"rows":0,"columns":1}', frames.RESIZE)
    refused = broken.end()
    os.environ["JOBMON_SHELL"] = "off"
    forbidden = Shell(job).end()
    del os.environ["JOBMON_SHELL"]
    return {"idle": idle, "refused": refused, "forbidden": forbidden}


def main(sandbox):
    process, job = start(sandbox)
    try:
        found = {
            "first": first_steps(job),
            "pipes": pipes(job),
            "leaving": leaving(job, sandbox),
            "flood": flood(job),
            "forgotten": forgotten(job),
        }
        terminal, found["beside"] = beside(job)
        process.wait()
        found["over"] = terminal.end()
        found["job"] = job.pid
    finally:
        process.kill()
        process.wait()
    print(json.dumps(found))


main(sys.argv[2])

"""When nobody asks, an agent beats by datagram and has no other process; it is rung when somebody does."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from jobmon_agent.beats import DEAF, Beats
from jobmon_agent.health import Health
from jobmon_agent.pidstat import start_time
from jobmon_wire import frames
from jobmon_wire.verbs import VERBS
from tests.agent.bell import Bell, flood
from tests.pythons import PYTHONS

SLEEPER = ["sleep", "600"]
PATIENT = 2.0  # s without a request until a worker asks to leave, where the test asks it before
TICKS = os.sysconf("SC_CLK_TCK")
IDLE_RSS = 9 * 2**20  # bytes; benchmarks/agent.py tells how far below it is
IDLE_ANONYMOUS = 4.5 * 2**20  # bytes
A_BEAT = 0.3e-3  # s of CPU with the answer, on a machine that is busy; 0.1 ms where it is quiet


def the_idle(launcher: Any, job: int) -> int:
    """The agent's process that has no other of the agent as parent."""
    agents = {pid: _parent(pid) for pid in launcher.agents() if pid != job}
    [idle] = [pid for pid, parent in agents.items() if parent and parent not in agents]
    return idle


def _parent(pid: int) -> int:
    """Its parent's number; 0 when it has ended meanwhile."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def workers(launcher: Any, idle: int) -> list[int]:
    return [pid for pid in launcher.agents() if pid != idle and _parent(pid) == idle]


def cpu(pid: int) -> float:
    """Seconds, to a hundredth of a nanosecond-grained account the scheduler keeps."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def memory(pid: int) -> dict[str, int]:
    """Bytes by the names of /proc/PID/status."""
    lines = (line.partition(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {name: int(value.split()[0]) * 1024 for name, _, value in lines if value.rstrip().endswith("kB")}


def settled(launcher: Any, server: Any, bell: Bell, until: Any, python: Any) -> tuple[Any, int]:
    """A job whose agent has registered, was let go and beats: the job, and the idle process."""
    server.quiet = 0.2
    job = launcher.start(launcher.line(python, *SLEEPER))
    until(lambda: len(bell.beats) > 2)
    idle = the_idle(launcher, job.pid)
    until(lambda: not workers(launcher, idle))
    return job, idle


def test_an_agent_beats_and_leaves_its_worker_when_nobody_asks(
    launcher: Any, server: Any, bell: Bell, until: Any, python: Path
) -> None:
    job, idle = settled(launcher, server, bell, until, python)
    number = len(bell.beats)
    until(lambda: len(bell.beats) > number + 2)

    assert launcher.agents() == [idle] or set(launcher.agents()) - {job.pid} == {idle}
    vitals = bell.beats[-1][1]
    assert (vitals["processes"], vitals["state"]) == (1, "S")
    assert vitals["rss_bytes"] > 2**16


def test_a_worker_that_is_let_go_leaves_also_when_the_channel_ends_with_that_word(
    launcher: Any, server: Any, bell: Bell, until: Any, old_or_new: Path
) -> None:
    server.ends_with_leave = True

    settled(launcher, server, bell, until, old_or_new)

    assert len(server.registrations) == 1


def test_a_wake_up_brings_the_channel_and_the_request_is_served(
    launcher: Any, server: Any, bell: Bell, until: Any, python: Path
) -> None:
    job, idle = settled(launcher, server, bell, until, python)
    channels = len(server.channels)
    server.quiet = PATIENT

    server.grants_leave = False  # a busy machine may take longer to ask than the agent stays
    bell.pending += 1
    bell.ring()
    until(lambda: len(server.channels) > channels)
    exchange = server.channel()
    request = exchange.ask("ps")

    assert exchange.end_of(request)["status"] == "done"
    server.grants_leave = True
    assert [row["pid"] for row in exchange.objects(frames.RECORD)[0]["processes"]] == [job.pid]
    until(lambda: not workers(launcher, idle))
    assert len({registration["epoch"] for registration in server.registrations}) == 1


def test_a_lost_wake_up_is_made_up_for_by_an_acknowledgement(
    launcher: Any, server: Any, bell: Bell, until: Any, old_or_new: Path
) -> None:
    settled(launcher, server, bell, until, old_or_new)
    channels = len(server.channels)

    bell.pending += 1

    until(lambda: len(server.channels) > channels)
    until(lambda: bell.beats[-1][0] == 1)


def test_where_no_datagrams_pass_the_channel_stays_open_until_they_do(
    launcher: Any, server: Any, bell: Bell, until: Any, old_or_new: Path
) -> None:
    bell.answers = server.grants_leave = False
    job = launcher.start(launcher.line(old_or_new, *SLEEPER))
    until(lambda: len(bell.beats) > 1)
    idle = the_idle(launcher, job.pid)
    [worker] = until(lambda: workers(launcher, idle))
    assert server.channel().is_open

    bell.answers = server.grants_leave = True
    server.channel().send(frames.write_frame(frames.LEAVE))

    until(lambda: worker not in workers(launcher, idle))


def test_beats_that_are_not_answered_any_more_bring_the_channel(
    launcher: Any, server: Any, bell: Bell, until: Any, old_or_new: Path
) -> None:
    _, idle = settled(launcher, server, bell, until, old_or_new)
    channels = len(server.channels)

    bell.answers = False
    server.grants_leave = False

    until(lambda: len(server.channels) > channels)
    assert workers(launcher, idle)


def test_an_agent_whose_server_has_forgotten_it_registers_once_and_beats_on(
    launcher: Any, server: Any, bell: Bell, until: Any, old_or_new: Path
) -> None:
    _, idle = settled(launcher, server, bell, until, old_or_new)
    registrations = len(server.registrations)

    bell.forget()
    number = len(bell.beats)
    until(lambda: len(bell.beats) > number + 5)
    until(lambda: not workers(launcher, idle))

    assert len(server.registrations) == registrations + 1


def test_a_server_that_asks_for_patience_is_left_in_peace_for_so_long(
    launcher: Any, server: Any, bell: Bell, until: Any, old_or_new: Path
) -> None:
    settled(launcher, server, bell, until, old_or_new)
    registrations = len(server.registrations)
    server.refusals = [(503, "Retry-After: 2\r\n")]

    bell.forget()
    until(lambda: not server.refusals)
    start = time.monotonic()
    until(lambda: len(server.registrations) > registrations)

    assert time.monotonic() - start >= 1.95  # the refusal was on its way to the agent meanwhile


def test_an_agent_registers_again_when_the_server_says_so(
    launcher: Any, server: Any, bell: Bell, until: Any, old_or_new: Path
) -> None:
    settled(launcher, server, bell, until, old_or_new)
    registrations = len(server.registrations)

    bell.again = 0.05
    until(lambda: len(server.registrations) > registrations)
    bell.again = 0.0

    assert len({registration["epoch"] for registration in server.registrations}) == 1


def test_where_the_site_keeps_no_channels_a_deaf_agent_beats_on_without_one_and_is_found_again(
    launcher: Any, server: Any, bell: Bell, until: Any, old_or_new: Path
) -> None:
    server.callback = "udp"
    _, idle = settled(launcher, server, bell, until, old_or_new)
    registrations = len(server.registrations)

    bell.answers = False
    until(lambda: len(server.registrations) > registrations)  # it looks whether the server has forgotten it, once
    until(lambda: not workers(launcher, idle))
    number = len(bell.beats)
    until(lambda: len(bell.beats) > number + 20)  # as many as 8 minutes have
    assert not workers(launcher, idle)
    assert len(server.registrations) == registrations + 1

    bell.answers = True
    bell.pending += 1
    channels = len(server.channels)
    until(lambda: len(server.channels) > channels)


def test_an_agent_that_is_stopped_for_long_and_continued_registers_once_at_most_and_in_no_haste(
    launcher: Any, server: Any, bell: Bell, until: Any, old_or_new: Path
) -> None:
    bell.interval = 0.05
    _, idle = settled(launcher, server, bell, until, old_or_new)
    registrations, number = len(server.registrations), len(bell.beats)

    os.kill(idle, signal.SIGSTOP)
    for _ in range(25):  # 25 beats are ten minutes of an agent that beats every 25 s
        time.sleep(0.05)
    missed = len(bell.beats) - number
    os.kill(idle, signal.SIGCONT)
    until(lambda: len(bell.beats) > number + missed + 20)

    assert missed <= 1
    assert len(server.registrations) - registrations <= 1


def test_an_agent_that_is_stopped_while_its_session_ends_registers_once(
    launcher: Any, server: Any, bell: Bell, until: Any, old_or_new: Path
) -> None:
    _, idle = settled(launcher, server, bell, until, old_or_new)
    registrations = len(server.registrations)

    os.kill(idle, signal.SIGSTOP)
    bell.forget()
    time.sleep(0.05)
    os.kill(idle, signal.SIGCONT)
    until(lambda: len(server.registrations) > registrations)
    number = len(bell.beats)
    until(lambda: len(bell.beats) > number + 20)

    assert len(server.registrations) == registrations + 1


def test_a_worker_that_dies_while_no_datagrams_pass_has_a_successor(
    launcher: Any, server: Any, bell: Bell, until: Any
) -> None:
    _, idle = settled(launcher, server, bell, until, None)
    channels = len(server.channels)
    bell.answers = server.grants_leave = False
    until(lambda: len(server.channels) > channels)
    [worker] = workers(launcher, idle)

    os.kill(worker, signal.SIGKILL)

    until(lambda: len(server.channels) > channels + 1)


def test_a_worker_whose_connection_is_dead_is_replaced_when_the_bell_rings_on(
    launcher: Any, server: Any, bell: Bell, until: Any
) -> None:
    server.grants_leave = False
    job = launcher.start(launcher.line(None, *SLEEPER))
    until(lambda: len(bell.beats) > 2)
    [worker] = workers(launcher, the_idle(launcher, job.pid))
    os.kill(worker, 19)  # SIGSTOP: as deaf as one behind a gateway that has forgotten it

    bell.pending += 1

    until(lambda: len(server.channels) > 1)
    assert not Path(f"/proc/{worker}").exists()


def test_progress_that_was_told_is_not_told_again_by_the_next_worker(
    launcher: Any, server: Any, bell: Bell, until: Any, old_or_new: Path
) -> None:
    server.quiet = 0.2
    script = 'echo one >> "$JOBMON_LOG"; read x; echo two >> "$JOBMON_LOG"; exec sleep 600'
    job = launcher.start(launcher.line(old_or_new, "sh", "-c", script), stdin=-1)

    def told() -> list[str]:
        return [said["text"] for channel in server.channels for said in channel.objects(frames.LOG)]

    until(lambda: told() == ["one"])
    until(lambda: not workers(launcher, the_idle(launcher, job.pid)))
    job.stdin.write(b"\n")
    job.stdin.flush()

    until(lambda: told() == ["one", "two"])


def test_the_end_is_told_by_datagram_at_once_and_reported_whole(
    launcher: Any, server: Any, bell: Bell, until: Any, python: Path
) -> None:
    server.quiet = 0.2
    job = launcher.start(launcher.line(python, "sh", "-c", "read x; exit 7"), stdin=-1)
    until(lambda: len(bell.beats) > 2)
    idle = the_idle(launcher, job.pid)
    until(lambda: not workers(launcher, idle))

    job.communicate(b"\n")
    until(lambda: server.ends and not Path(f"/proc/{idle}").exists())

    assert bell.byes
    assert {bye[1:] for bye in bell.byes} <= {(0, "unknown"), (7 << 8, "pidfd"), (7 << 8, "zombie")}
    assert server.ends[0]["exit"]["code"] == 7


def test_where_no_datagram_socket_is_to_be_had_beats_count_as_unanswered() -> None:
    beats = Beats(Health(_Itself()))
    no_family = {"family": 10**4, "address": ("127.0.0.1", 9), "session": bytes(8), "up": bytes(32), "down": bytes(32)}

    beats.begin({**no_family, "interval": 25.0, "counter": 0, "pending": 0, "keeps_channel": True})
    assert beats.works  # as far as is known
    for _ in range(DEAF):
        beats.beat(time.monotonic())

    assert beats.descriptor(time.monotonic()) is None
    assert not beats.works


class _Itself:
    """This process as a job, as far as beats need one."""

    uuid, pid, starttime = "0" * 36, os.getpid(), start_time(os.getpid())
    group, mode, stdout, stderr = 0, "exec", None, None


def test_datagrams_from_anywhere_else_do_not_reach_the_agent(
    launcher: Any, server: Any, bell: Bell, until: Any
) -> None:
    import socket

    settled(launcher, server, bell, until, None)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.connect(bell.address)
        stranger.settimeout(2.0)
        stranger.send(b"x" * 108)
        with pytest.raises(ConnectionRefusedError):  # the kernel knows of nobody who listens there for us
            stranger.recv(1)


@pytest.mark.promise(22)
def test_the_idle_agent_is_small(launcher: Any, pyz: Path, server: Any, bell: Bell, until: Any, python: Path) -> None:
    launcher.agent = pyz  # one that compiles its modules itself is 0.5 MB larger
    _, idle = settled(launcher, server, bell, until, python)
    number = len(bell.beats)
    until(lambda: len(bell.beats) > number + 2)  # it has done by itself all that it does in its idle life

    found = memory(idle)

    assert found["VmRSS"] <= IDLE_RSS
    assert found["RssAnon"] <= IDLE_ANONYMOUS


@pytest.mark.promise(22)
def test_what_the_agent_adds_to_a_bare_interpreter_is_little(
    launcher: Any, pyz: Path, server: Any, bell: Bell, until: Any, python: Path
) -> None:
    """The control of the test above: what no agent could save, under the same Python and in the same moment."""
    import subprocess

    launcher.agent = pyz
    _, idle = settled(launcher, server, bell, until, python)
    waits = "import _socket, os, select; os.write(1, b'.'); select.poll().poll()"
    with subprocess.Popen([python, "-I", "-S", "-c", waits], stdout=subprocess.PIPE) as bare:
        assert bare.stdout is not None
        assert bare.stdout.read(1) == b"."
        least, found = memory(bare.pid), memory(idle)
        bare.kill()

    assert found["VmRSS"] - least["VmRSS"] <= 1.5 * 2**20
    assert found["RssAnon"] - least["RssAnon"] <= 2.2 * 2**20


@pytest.mark.promise(23)
def test_the_idle_agent_imports_nothing_large(tree: Path, python: Path) -> None:
    import subprocess

    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import jobmon_agent.launch, jobmon_agent.sidecar;"
        "print(*[name for name in ('ssl', 'hashlib', 'socket', 'json', 'asyncio', 'typing', 'selectors', 'threading',"
        " 'subprocess', 'ctypes', 'logging') if name in sys.modules])"
    )
    done = subprocess.run([python, "-I", "-S", "-c", script, tree], capture_output=True, text=True, check=True)

    assert done.stdout == "\n"


@pytest.mark.promise(25)
def test_the_idle_agent_costs_nothing_to_speak_of(
    launcher: Any, server: Any, bell: Bell, until: Any, python: Path
) -> None:
    bell.interval = 0.05
    _, idle = settled(launcher, server, bell, until, python)
    until(lambda: len(bell.beats) > 20)  # the first look at the whole node is behind it

    def of_a_beat() -> float:
        before, number = cpu(idle), len(bell.beats)
        until(lambda: len(bell.beats) >= number + 20)
        return (cpu(idle) - before) / (len(bell.beats) - number)

    # The least of a few: others on the machine cost it its caches.
    assert min(of_a_beat() for _ in range(5)) <= A_BEAT


@pytest.mark.promise(25)
def test_between_two_beats_the_idle_agent_does_not_wake(
    launcher: Any, server: Any, bell: Bell, until: Any, python: Path
) -> None:
    bell.interval = 60.0
    server.quiet = 0.2
    job = launcher.start(launcher.line(python, *SLEEPER))
    until(lambda: len(bell.beats) > 1)
    idle = the_idle(launcher, job.pid)
    until(lambda: not workers(launcher, idle))
    time.sleep(0.05)

    before = _switches(idle)
    for _ in range(40):
        time.sleep(0.05)

    assert _switches(idle) == before


def _switches(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)


@pytest.mark.promise(26)
def test_after_requests_the_worker_leaves_and_the_idle_agent_is_as_small_as_before(
    launcher: Any, server: Any, bell: Bell, until: Any, python: Path
) -> None:
    _, idle = settled(launcher, server, bell, until, python)
    before = memory(idle)["VmRSS"]
    server.quiet = PATIENT
    server.grants_leave = False  # a busy machine may take longer to ask than the agent stays
    bell.pending += 1
    channels = len(server.channels)
    bell.ring()
    until(lambda: len(server.channels) > channels)
    exchange = server.channel()

    for name in ("ps", "ls", "node"):
        assert name in VERBS
        assert exchange.end_of(exchange.ask(name))["status"] == "done"
    server.grants_leave = True
    until(lambda: not workers(launcher, idle))

    assert memory(idle)["VmRSS"] - before <= 2**20


@pytest.mark.promise(27)
def test_a_flood_costs_the_agent_nothing_and_it_is_rung_after_it(
    launcher: Any, server: Any, bell: Bell, until: Any, python: Path
) -> None:
    _, idle = settled(launcher, server, bell, until, python)
    before, start = cpu(idle), time.monotonic()

    sent = flood(bell, 50_000, 1.0)
    ended = time.monotonic()
    share = (cpu(idle) - before) / (ended - start)
    channels = len(server.channels)
    bell.pending += 1
    rings = 0

    def is_awake() -> bool:
        nonlocal rings
        if time.monotonic() > ended + rings / 2:  # as the server rings: after 0, 0.5, 1 s ...
            bell.ring()
            rings += 1
        # Looked up in one file: the machine may be busy, and all this counts.
        return bool(Path(f"/proc/{idle}/task/{idle}/children").read_text()) or len(server.channels) > channels

    until(is_awake)
    heard = rings
    until(lambda: len(server.channels) > channels)

    assert sent > 5_000
    assert share <= 0.01
    assert heard <= 5


def test_every_python_has_a_fast_mac_without_hashlib() -> None:
    import subprocess

    for python in PYTHONS:
        done = subprocess.run([python.path, "-I", "-S", "-c", "from _blake2 import blake2s"], capture_output=True)
        assert done.returncode == 0, python.version

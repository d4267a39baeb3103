"""A performer that cannot be killed holds up nobody, and is counted until it is gone."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from jobmon_agent import performer
from jobmon_agent.job import Job
from jobmon_agent.verbs import VERBS as FUNCTIONS
from jobmon_wire import frames
from jobmon_wire.frames import write_frame
from tests.agent.trees import until
from tests.security import hung


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_performer_that_waits_for_a_dead_file_system_is_let_go_of_at_once(tmp_path: Path) -> None:
    with hung.file_system(tmp_path) as server:
        sandbox = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
        job = Job("hung", os.getpid(), 0, None, sandbox, str(tmp_path), None, None, os.getpgrp(), "exec")
        asked = {"path": ".", "directory": False, "hidden": True}
        stuck = performer.Performer(bytes(16), FUNCTIONS["ls"], job, asked, 1.0)
        os.close(sandbox)
        assert server.was_asked(10)

        began = time.monotonic()
        stuck.stop()
        took = time.monotonic() - began

        assert state(stuck._pid) == "D", "it could be killed: the test is void"
        assert took < 1
        assert performer.hanging() == 1
    until(lambda: performer.hanging() == 0)


@pytest.mark.parametrize("verb", ["cat", "tail"])
def test_other_verbs_answer_while_one_read_hangs(launcher: Any, server: Any, until: Any, verb: str) -> None:
    """A stopped process stands in for one that waits for a disk."""
    launcher.start(launcher.line(None, "sh", "-c", "head -c 1000000 /dev/zero > big; touch made; exec sleep 60"))
    until(lambda: (launcher.directory / "made").exists())
    channel = server.channel()
    idle = set(launcher.agents())
    arguments = {"follow": True} if verb == "tail" else {}
    read = channel.ask(verb, file="big", **arguments)
    (reader,) = until(lambda: set(launcher.agents()) - idle)
    os.kill(reader, 19)
    until(lambda: state(reader) == "T")

    began = time.monotonic()
    for other, given in (("ls", {}), ("head", {"file": "big", "bytes": 5}), ("cat", {"file": "big", "length": 5})):
        assert channel.end_of(channel.ask(other, **given)) == {"status": "done"}
    assert time.monotonic() - began < 3
    channel.send(write_frame(frames.CANCEL, read))

    assert channel.end_of(read)["code"] == "cancelled"
    until(lambda: set(launcher.agents()) == idle)


def test_a_process_that_gave_a_short_answer_gives_the_next_until_a_beat_sees_more(
    launcher: Any, server: Any, until: Any
) -> None:
    server.ping = 2.0
    launcher.start(launcher.line(None, "sleep", "60"))
    channel = server.channel()
    idle = set(launcher.agents())

    def asked(verb: str) -> set[int]:
        assert channel.end_of(channel.ask(verb)) == {"status": "done"}
        return set(launcher.agents()) - idle

    def is_one_process() -> bool:  # unless a beat came between
        first, second = asked("ps"), asked("ls")
        return len(first) == 1 and first == second

    until(is_one_process)
    until(lambda: set(launcher.agents()) == idle)


def test_a_process_that_failed_or_grew_or_did_what_cannot_be_repeated_gives_no_other_answer(
    launcher: Any, server: Any, until: Any
) -> None:
    channel, idle = _without_a_beat(launcher, server, until)

    for verb, given, status in (
        ("ls", {"path": "absent"}, "failed"),
        ("cat", {"file": "big"}, "done"),
        ("kill", {"signal": "CONT"}, "done"),
    ):
        assert channel.end_of(channel.ask(verb, **given))["status"] == status
        until(lambda: _children(idle) <= idle)  # not even a dead one is kept


def test_where_the_process_that_waits_was_killed_another_answers(launcher: Any, server: Any, until: Any) -> None:
    channel, idle = _without_a_beat(launcher, server, until)
    channel.end_of(channel.ask("ps"))
    (waiting,) = set(launcher.agents()) - idle

    os.kill(waiting, 9)
    until(lambda: state(waiting) == "Z")
    asked = channel.ask("ps")

    assert channel.end_of(asked) == {"status": "done"}
    (record,) = [frame.document() for frame in channel.of(asked) if frame.type == frames.RECORD]
    assert [row["is_job"] for row in record["processes"]] == [True]
    assert len(set(launcher.agents()) - idle - {waiting}) == 1


def _children(pids: set[int]) -> set[int]:
    lists = [Path(f"/proc/{pid}/task/{pid}/children").read_text().split() for pid in pids]
    return {int(child) for each in lists for child in each}


def _without_a_beat(launcher: Any, server: Any, until: Any) -> tuple[Any, set[int]]:
    """A job's channel on which no beat is due for long, and the agent's processes."""
    server.ping = 600.0
    launcher.start(launcher.line(None, "sh", "-c", "head -c 100000 /dev/zero > big; exec sleep 60"))
    channel = server.channel()
    until(lambda: len(channel.objects(frames.VITALS)) == 2)  # the second comes early
    return channel, set(launcher.agents())

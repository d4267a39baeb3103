"""One job named by its id is signalled at once; several only after a person, or --yes, said so."""

import json
import os
import select
import signal
from collections.abc import Callable
from typing import Any

import pytest

from jobmon_console import prompt
from jobmon_wire import frames
from tests.console.prompts import PATIENCE, answer_prompt

Run = Callable[..., Any]
Make = Callable[..., dict[str, Any]]


@pytest.fixture
def fleet(fake: Any, record: Make) -> list[dict[str, Any]]:
    """Seven running jobs and one that has ended."""
    jobs = [record(f"4711.{i}", uuid=f"u{i}", state="running" if i < 7 else "ended") for i in range(8)]
    fake.rows("GET /v1/jobs", *jobs)
    for job in jobs:
        fake.document(f"GET /v1/jobs/{job['id']}", job)
        fake.answer(job["uuid"], (frames.RECORD, {"signal": "TERM", "sent": [7, 8], "killed": [], "left": []}))
    return jobs


def signalled(fake: Any) -> list[str]:
    return sorted(line.split("/")[3] for line, _ in fake.asked if line.startswith("POST"))


def test_one_job_needs_no_question(at_fake: Run, fake: Any) -> None:
    fake.answer("4711", (frames.RECORD, {"signal": "TERM", "sent": [7, 8], "killed": [8], "left": [9]}))

    result = at_fake("kill", "4711", "--grace", "3")

    assert (result.status, result.err) == (0, "")
    assert result.text == "4711: TERM sent to 2 processes, 1 got KILL after the grace, 1 still there\n"
    assert json.loads(fake.asked[-1][1])["arguments"] == {"signal": "TERM", "grace": 3.0}


@pytest.mark.parametrize("name", ["USR1", "sigusr1", "10"])
def test_a_signal_is_named_as_kill_names_it(at_fake: Run, fake: Any, name: str) -> None:
    fake.answer("4711")

    assert at_fake("kill", "4711", "-s", name).status == 0
    assert json.loads(fake.asked[-1][1])["arguments"] == {"signal": "USR1"}


def test_several_without_a_terminal_need_yes(at_fake: Run, fake: Any, fleet: Any) -> None:
    for words in (["@state:running"], ["4711.0", "4711.1"]):
        result = at_fake("kill", *words)
        assert (result.status, result.out) == (2, b"")
        assert "--yes" in result.err
    assert signalled(fake) == []


def test_yes_signals_every_one_that_runs_and_reports_each(at_fake: Run, fake: Any, fleet: Any) -> None:
    fake.refuse("POST /v1/jobs/u3/query", "job-silent", "its agent is silent")

    result = at_fake("kill", "--yes", "@node:wn042")

    assert signalled(fake) == [f"u{i}" for i in range(7)]
    assert len(result.text.splitlines()) == 6
    assert "4711.3: its agent is silent" in result.err
    assert result.status == 6


def test_nobody_left_to_signal_is_said(at_fake: Run, fake: Any, fleet: Any) -> None:
    fake.rows("GET /v1/jobs", fleet[7])
    assert at_fake("kill", "--yes", "@state:ended").status == 6
    fake.rows("GET /v1/jobs")
    assert at_fake("kill", "--yes", "@node:none").status == 3
    assert signalled(fake) == []


@pytest.mark.parametrize(("answer", "sent"), [("y\n", 0), ("2\n", 2)])
def test_jobs_that_their_owner_has_protected_are_counted_however_few(
    context: Any, fake: Any, fleet: Any, clean_environment: None, answer: str, sent: int
) -> None:
    fake.rows("GET /v1/jobs", fleet[0], dict(fleet[1], tags={"protected": ""}))
    words, environ = ["kill", "@state:running"], {"JOBMON_CREDENTIAL": context.credential}

    _, seen = answer_prompt(words, environ, b"to go on: ", answer)

    assert "2 jobs, with protected ones" in seen
    assert len(signalled(fake)) == sent


@pytest.mark.parametrize(
    ("words", "answer", "status", "sent"),
    [
        (["@state:running"], "7\n", 0, 7),
        (["@state:running"], "y\n", 2, 0),
        (["@state:running"], "\n", 2, 0),
        (["4711.0", "4711.1"], "y\n", 0, 2),
        (["4711.0", "4711.1"], "\n", 2, 0),
        (["@state:running"], "\x03", 130, 0),
        (["@state:running"], "\x04", 2, 0),
    ],
)
def test_a_person_is_shown_the_jobs_and_types_how_many(
    fake: Any, context: Any, fleet: Any, clean_environment: None, words: list[str], answer: str, status: int, sent: int
) -> None:
    prompt = b": " if words[0].startswith("@") else b"[y/N] "

    ended, seen = answer_prompt(["kill", *words], {"JOBMON_CREDENTIAL": context.credential}, prompt, answer)

    assert ended == status
    assert "4711.1" in seen
    assert len(signalled(fake)) == sent


def test_an_interrupt_just_before_the_answer_is_awaited_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    set_wakeup_fd = signal.set_wakeup_fd

    def interrupted(descriptor: int) -> int:
        before = set_wakeup_fd(descriptor)
        if descriptor >= 0:
            os.write(descriptor, bytes([signal.SIGINT]))  # as C's handler does, which Python has not looked at yet
        return before

    wait, woken = select.select, []

    def patient(*descriptors: Any) -> Any:
        woken.extend(wait(*descriptors, PATIENCE)[0])
        return descriptors  # as if a line had come

    silent, its_end = os.pipe()
    with open(silent) as stdin, open(its_end, "wb"):
        monkeypatch.setattr("sys.stdin", stdin)
        monkeypatch.setattr(signal, "set_wakeup_fd", interrupted)
        monkeypatch.setattr(select, "select", patient)
        prompt._await_line()
    assert woken

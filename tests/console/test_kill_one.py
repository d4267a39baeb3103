"""A signal to one process: what a person was asked about gets it, or nothing does; never the whole job in its place."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from jobmon_wire import frames
from tests.console.prompts import answer_prompt

pytestmark = pytest.mark.promise(34)

Run = Callable[..., Any]

STARTED = "2458696:dc11b80b"
ROW = {"pid": 31337, "ppid": 7, "user": "alice", "command": "python3 train.py", "started_exactly": STARTED}
FIRST = {"pid": 7, "ppid": 1, "user": "alice", "command": "sh job.sh", "started_exactly": "2458000:dc11b80b"}
DONE = {"signal": "TERM", "sent": [31337], "killed": [], "left": []}
TOO_OLD = (
    "jobmon: the job's agent is too old to signal one process alone, so nothing was sent; "
    "a job started with a newer jobmond.pyz takes it\n"
)


class Agent:
    """What the job's agent answers, by verb, and what it was asked."""

    def __init__(self, fake: Any) -> None:
        self._fake = fake
        self._parts = {"ps": self._made((frames.RECORD, {"processes": [FIRST, ROW]}))}
        self.kill((frames.RECORD, DONE))
        fake.routes["POST /v1/jobs/4711/query"] = lambda handler: self._parts[self.asked[-1]["verb"]](handler)

    def processes(self, *rows: dict[str, Any]) -> None:
        self._parts["ps"] = self._made((frames.RECORD, {"processes": list(rows)}))

    def kill(self, *parts: tuple[int, Any], end: dict[str, Any] | None = None) -> None:
        self._parts["kill"] = self._made(*parts, end=end)

    def refuse(self, code: str, message: str) -> None:
        self.kill(end={"status": "failed", "code": code, "message": message})

    @property
    def asked(self) -> list[dict[str, Any]]:
        return [json.loads(body) for line, body in self._fake.asked if line.startswith("POST")]

    @property
    def signalled(self) -> list[dict[str, Any]]:
        """The arguments of each request that signals."""
        return [asked["arguments"] for asked in self.asked if asked["verb"] == "kill"]

    def _made(self, *parts: tuple[int, Any], end: dict[str, Any] | None = None) -> Any:
        self._fake.answer("made", *parts, end=end)
        return self._fake.routes.pop("POST /v1/jobs/made/query")


@pytest.fixture
def agent(fake: Any) -> Agent:
    """The agent of job 4711, which has two processes."""
    return Agent(fake)


@pytest.fixture
def asked_at(context: Any, clean_environment: None) -> Callable[..., tuple[int, str]]:
    """Runs `jobmon kill 4711 …` at a terminal and answers its question."""
    environ = {"JOBMON_CREDENTIAL": context.credential}
    return lambda answer, *words: answer_prompt(["kill", "4711", *words], environ, b"[y/N] ", answer)


def test_the_process_is_looked_up_and_its_start_goes_with_the_signal(at_fake: Run, agent: Agent) -> None:
    result = at_fake("kill", "4711", "--pid", "31337", "--yes", "--grace", "3")

    assert (result.status, result.err) == (0, "")
    assert result.text == "4711: TERM sent to process 31337, which has ended\n"
    assert [asked["verb"] for asked in agent.asked] == ["ps", "kill"]
    assert agent.signalled == [{"signal": "TERM", "grace": 3.0, "pid": 31337, "started": STARTED}]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({}, "TERM sent to process 31337, which has ended"),
        ({"killed": [31337]}, "TERM sent to process 31337, which got KILL after the grace and has ended"),
        (
            {"killed": [31337], "left": [31337]},
            "TERM sent to process 31337, which got KILL after the grace and is still there",
        ),
        ({"signal": "STOP", "left": [31337]}, "STOP sent to process 31337, which is still there"),
    ],
)
def test_what_became_of_it_is_said(at_fake: Run, agent: Agent, said: dict[str, Any], told: str) -> None:
    agent.kill((frames.RECORD, DONE | said))

    assert at_fake("kill", "4711", "--pid", "31337", "--yes").text == f"4711: {told}\n"


def test_a_person_is_asked_about_the_process_and_a_yes_signals_it(asked_at: Any, agent: Agent) -> None:
    status, seen = asked_at("y\n", "--pid", "31337", "-s", "INT")

    assert "INT to process 31337 of 4711 (alice): python3 train.py? [y/N] " in seen
    assert status == 0
    assert agent.signalled == [{"signal": "INT", "pid": 31337, "started": STARTED}]


@pytest.mark.parametrize(("answer", "status"), [("n\n", 2), ("\n", 2), ("31337\n", 2), ("\x04", 2), ("\x03", 130)])
def test_any_other_answer_signals_nothing(asked_at: Any, agent: Agent, answer: str, status: int) -> None:
    assert asked_at(answer, "--pid", "31337")[0] == status

    assert [asked["verb"] for asked in agent.asked] == ["ps"]


def test_the_job_s_own_process_is_called_that(asked_at: Any, agent: Agent) -> None:
    agent.processes(FIRST | {"is_job": True}, ROW)

    _, seen = asked_at("n\n", "--pid", "7")

    assert "TERM to process 7 of 4711 (alice, the job's own process): sh job.sh? [y/N] " in seen


def test_nothing_of_a_process_acts_on_the_terminal_that_asks(asked_at: Any, agent: Agent) -> None:
    evil = "\x1b]0;owned\x07\n\u202e" + "x" * 200
    agent.processes(ROW | {"command": evil, "user": evil[:9]})

    _, seen = asked_at("n\n", "--pid", "31337")

    question = seen[: seen.index("[y/N]")]
    assert "\x1b" not in question
    assert "\u202e" not in question
    assert "\n" not in question
    assert "]0;owned" in question
    assert "x" * 61 not in question


def test_without_a_terminal_yes_is_needed(at_fake: Run, agent: Agent) -> None:
    result = at_fake("kill", "4711", "--pid", "31337")

    assert (result.status, result.out) == (2, b"")
    assert "process 31337 would get TERM" in result.err
    assert "--yes" in result.err
    assert agent.signalled == []


def test_a_number_that_is_no_process_of_the_job_signals_nothing(at_fake: Run, agent: Agent) -> None:
    result = at_fake("kill", "4711", "--pid", "31338", "--yes")

    assert result.status == 1
    assert result.err == "jobmon: 31338 is no process of this job; see: jobmon ps 4711\n"
    assert agent.signalled == []


@pytest.mark.parametrize("pid", ["1", "0", "-1", "4194305", "x", "", "31337.0"])
def test_what_can_be_no_process_of_a_job_is_not_asked_about(at_fake: Run, agent: Agent, pid: str) -> None:
    result = at_fake("kill", "4711", "--pid", pid, "--yes")

    assert (result.status, len(result.err.splitlines())) == (2, 1)
    assert agent.asked == []


@pytest.mark.parametrize("jobs", [["4711", "4712"], ["@state:running"], ["4711", "@id:4712"]])
def test_a_process_is_of_exactly_one_job(at_fake: Run, fake: Any, jobs: list[str]) -> None:
    result = at_fake("kill", *jobs, "--pid", "31337", "--yes")

    assert result.status == 2
    assert "one process of one job" in result.err
    assert fake.asked == []


def test_an_agent_that_tells_no_exact_start_is_asked_for_nothing(at_fake: Run, agent: Agent) -> None:
    agent.processes({key: value for key, value in ROW.items() if key != "started_exactly"})

    result = at_fake("kill", "4711", "--pid", "31337", "--yes")

    assert (result.status, result.out, result.err) == (1, b"", TOO_OLD)
    assert agent.signalled == []


def test_an_agent_that_does_not_know_the_option_is_not_asked_without_it(at_fake: Run, agent: Agent) -> None:
    agent.refuse("unsupported", "the job's agent is older than this command's option 'pid'; ask without it")

    result = at_fake("kill", "4711", "--pid", "31337", "--yes")

    assert (result.status, result.out, result.err) == (1, b"", TOO_OLD)
    assert [asked["pid"] for asked in agent.signalled] == [31337]
    # The control: an agent that knows it is asked the very same, and does it.
    agent.kill((frames.RECORD, DONE))
    assert at_fake("kill", "4711", "--pid", "31337", "--yes").status == 0
    assert agent.signalled[0] == agent.signalled[1]


def test_a_server_that_does_not_know_the_option_is_not_asked_without_it(at_fake: Run, fake: Any, agent: Agent) -> None:
    sentence = "kill takes no argument 'pid': the server is older than that option, or it is misspelt"
    fake.refuse("POST /v1/jobs/old/query", "bad-request", sentence)
    agent._parts["kill"] = fake.routes.pop("POST /v1/jobs/old/query")

    result = at_fake("kill", "4711", "--pid", "31337", "--yes")

    assert (result.status, result.out) == (2, b"")
    assert result.err.startswith(f"jobmon: {sentence}")
    assert [asked["pid"] for asked in agent.signalled] == [31337]


def test_what_the_agent_says_against_it_is_passed_on(at_fake: Run, agent: Agent) -> None:
    sentence = "31337 is another process now than the one that was meant, which has ended; nothing was sent"
    agent.refuse("action-failed", sentence)

    result = at_fake("kill", "4711", "--pid", "31337", "--yes")

    assert (result.status, result.out, result.err) == (1, b"", f"jobmon: {sentence}\n")

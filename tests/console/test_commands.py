"""Each command asks the right question, prints the answer harmlessly, and exits as the contract says."""

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from jobmon_wire import frames

Run = Callable[..., Any]
Make = Callable[..., dict[str, Any]]

HOSTILE = "x\x1b]52;c;ZXZpbA==\x07\x9b2J\u202egnp\u2028\udcffy\x7f[@click=app.quit]\n"
BRAND = "]52;c;ZXZpbA=="  # of it what stays as it is: proof that it was printed

ALL = ("jobs", "jobs --json", "jobs --watch", "jobs --columns id,name,command,batch,tags,progress,exit,time,context")
OF_A_JOB = (
    "show",
    "show --json",
    "log",
    "log --json",
    "ps",
    "ps --json",
    "ps --pss --force",
    "top -n 1",
    "top --json -n 1",
    "stack",
    "stack --json",
    "stack --py-spy",
    "stack --signal",
    "node",
    "node --json",
)
FILES = (
    "ls",
    "ls -l",
    "ls --json",
    "head --safe",
    "tail --safe",
    "cat --safe",
    "kill",
    "kill --pid 7 --yes",
    "audit",
    "audit --json",
)


def assert_printable(out: bytes) -> None:
    text = out.decode()
    left = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")} - {"\n"}
    assert not left, ascii(left)


def serve_hostile(fake: Any, make: Make) -> None:
    """Every field of every answer that may hold text holds hostile text."""
    odd = {"batch": {HOSTILE: HOSTILE}, "tags": {"k": HOSTILE}, "exit": {"signal": HOSTILE, "source": HOSTILE}}
    texts = ("id", "owner", "owner_name", "cluster", "node", "name", "command", "progress", "health", "health_reason")
    job = make(**dict.fromkeys(texts, HOSTILE), **odd, state="running")
    fake.rows("GET /v1/jobs", job)
    fake.watch([{"kind": "jobs", "jobs": [job]}, {"kind": "live"}])
    whole = {**job, "registration": {HOSTILE: HOSTILE, "python": HOSTILE}, "end": {"survivors": HOSTILE}}
    fake.document("GET /v1/jobs/j", whole)
    fake.rows("GET /v1/jobs/j/log", {"seq": 1, "at": HOSTILE, "kind": HOSTILE, "text": HOSTILE})
    row = dict.fromkeys(("who", "role", "verb", "id", "decision", "outcome", "source"), HOSTILE)
    fake.rows("GET /v1/audit", {**row, "at": 1.0, "arguments": {"file": HOSTILE}})
    process = dict.fromkeys(("state", "name", "command", "user", "pss_refused", "open_files", "read"), HOSTILE)
    gpu = {"index": HOSTILE, "utilization": HOSTILE, "memory": HOSTILE}
    everything = {
        "processes": [
            {**process, "pid": 7, "ppid": 1, "started_exactly": HOSTILE},
            {**process, "pid": 8, "ppid": 7},
            {"pid": 9, "ppid": 9},
        ],
        "job": {"processes": HOSTILE, "memory_limit": HOSTILE, "oom_kills": HOSTILE, "gpus": [gpu, HOSTILE]},
        "node": HOSTILE,
        "cpus": 2,
        "kernel": HOSTILE,
        "batch": {"a": HOSTILE},
        "entries": [{"name": HOSTILE, "kind": "link", "owner": HOSTILE, "target": HOSTILE}],
        "threads": [{"pid": 7, "tid": 7, **dict.fromkeys(("name", "state", "wchan", "call", "file", "peer"), HOSTILE)}],
        "signal": HOSTILE,
        "sent": [7],
    }
    note = {"kind": "skipped", "bytes": HOSTILE}
    for ref in ("j", job["uuid"]):
        fake.answer(
            ref,
            (frames.DATA, HOSTILE.encode("utf-8", "surrogateescape")),
            (frames.RECORD, everything),
            (frames.NOTE, note),
        )


@pytest.mark.parametrize("command", [*ALL, *(f"{c} j" for c in OF_A_JOB + FILES)])
def test_hostile_text_reaches_no_terminal(command: str, at_fake: Run, fake: Any, record: Make) -> None:
    serve_hostile(fake, record)

    result = at_fake(*command.split())

    assert result.status == (4 if "--watch" in command else 0), result.err  # a watch is refused in the end
    assert BRAND in result.text
    assert_printable(result.out)
    assert_printable(result.err.encode())


def test_a_hostile_refusal_is_one_harmless_line(at_fake: Run, fake: Any) -> None:
    fake.refuse("GET /v1/jobs", "internal", HOSTILE)

    result = at_fake("jobs")

    assert (result.status, result.out) == (1, b"")
    assert BRAND in result.err
    assert result.err.count("\n") == 1
    assert_printable(result.err.encode())


def test_jobs_json_has_every_field_and_null_for_unknown(at_fake: Run, fake: Any, record: Make) -> None:
    fake.rows("GET /v1/jobs", record(), record("4712", uuid="b", name="größe"))

    result = at_fake("jobs", "--json", "state:running")

    first, second = (json.loads(line) for line in result.out.splitlines())
    promised = "id owner cluster node state health exit started ended last_seen command batch cpu_percent rss_bytes"
    for key in [*promised.split(), "output_bytes", "callback"]:
        assert key in first
    assert first["ended"] is None
    assert second["name"] == "größe"
    assert result.out.isascii()
    assert fake.asked[0][0] == "GET /v1/jobs?select=state%3Arunning"


def test_jobs_prints_chosen_columns_in_their_order(at_fake: Run, fake: Any, record: Make) -> None:
    fake.rows("GET /v1/jobs", record())

    assert at_fake("jobs", "--columns", "node,id,mem", "--no-header").text == "wn042  4711.0  1.0G\n"
    assert json.loads(at_fake("jobs", "--json", "--columns", "node,id").out) == {"node": "wn042", "id": "4711.0"}
    at_fake("jobs", "--sort", "cpu-", "--limit", "5")
    assert fake.asked[-1][0].startswith("GET /v1/jobs?sort=-cpu_percent&limit=5&fields=")


def test_jobs_asks_for_what_it_prints_and_orders_by_alone(at_fake: Run, fake: Any, record: Make) -> None:
    fake.rows("GET /v1/jobs", record())

    def asked(*arguments: str) -> set[str]:
        at_fake("jobs", *arguments)
        (fields,) = parse_qs(fake.asked[-1][0].partition("?")[2]).get("fields", [""])
        return set(fields.split(","))

    assert asked("--json") == {""}
    assert asked("--json", "--columns", "node,id,time", "--sort", "mem") == {"node", "id", "rss_bytes"}
    assert asked("--columns", "node,context") == {"node", "state", "exit", "reason", "started", "ended"}
    usual = asked()
    assert {"id", "name", "owner", "cluster", "exit", "reason", "ended"} <= usual
    assert not usual & {"command", "batch", "tags", "uuid", "owner_name", "time"}


def test_two_contexts_are_one_table_and_one_that_is_down_hides_nothing(
    jobmon: Run, fake: Any, dead_url: str, credential_file: Run, record: Make, tmp_path: Path
) -> None:
    for name, url in (("caf", fake.url), ("desy", dead_url)):
        assert jobmon("config", "add", name, credential_file(url, name)).status == 0
    assert jobmon("config", "use", "caf", "desy").status == 0
    fake.rows("GET /v1/jobs", record())

    result = jobmon("jobs", "--json")

    assert result.status == 5
    assert json.loads(result.out)["context"] == "caf"
    assert result.err.startswith("jobmon: desy: cannot reach")


def test_a_job_is_found_in_the_context_that_has_it(
    jobmon: Run, fake: Any, other_fake: Any, dead_url: str, credential_file: Run, record: Make
) -> None:
    for name, url in (("caf", fake.url), ("desy", other_fake.url), ("down", dead_url)):
        jobmon("config", "add", name, credential_file(url, name))
    two, three = (
        ("--context", "caf", "--context", "desy"),
        ("--context", "caf", "--context", "desy", "--context", "down"),
    )
    other_fake.document("GET /v1/jobs/4711", record(uuid="u"))
    other_fake.answer("u", (frames.RECORD, {"processes": [{"pid": 77, "command": "train"}]}))

    assert "77" in jobmon(*two, "ps", "4711").text
    assert jobmon("ps", *three, "4711").status == 0
    assert jobmon(*two, "ps", "4712").status == 3
    unknown = jobmon(*three, "ps", "4712")
    assert (unknown.status, "down: cannot reach" in unknown.err) == (5, True)
    fake.document("GET /v1/jobs/4711", record(uuid="u"))
    both = jobmon(*two, "ps", "4711")
    assert (both.status, both.err) == (2, "jobmon: 4711 is a job in caf and desy; choose one with --context\n")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("internal", 1), ("bad-selector", 2), ("ambiguous-job", 2), ("no-such-job", 3), ("not-permitted", 4),
        ("draining", 5), ("job-silent", 6), ("job-lost", 6), ("credential-refused", 7), ("timeout", 124),
    ],
)  # fmt: skip
def test_each_refusal_has_its_exit_status_and_one_line(at_fake: Run, fake: Any, code: str, status: int) -> None:
    for route in ("POST /v1/jobs/j/query", "GET /v1/jobs/j", "GET /v1/jobs/j/log"):
        fake.refuse(route, code, "so it is")

    for command in ("ps", "tail", "kill", "show", "log"):
        result = at_fake(command, "j")
        assert (result.status, result.out) == (status, b"")
        assert result.err.startswith("jobmon: so it is")
        assert result.err.count("\n") == 1


@pytest.mark.parametrize(
    ("code", "status"),
    [("no-such-file", 1), ("agent-gone", 6), ("timeout", 124), ("unheard-of", 1), ("cancelled", 130)],
)
def test_a_request_that_fails_at_the_agent_has_its_exit_status(at_fake: Run, fake: Any, code: str, status: int) -> None:
    fake.answer("j", end={"status": "failed", "code": code, "message": "so it is"})

    assert at_fake("cat", "j", "file").status == status


@pytest.mark.parametrize(
    "words",
    [
        "frobnicate", "jobs --frob", "jobs bogus:1", "jobs (open", "jobs --columns nonsense", "jobs --limit -3",
        "jobs --sort nonsense", "tail j -n x", "tail j -n 1 -c 1", "kill j -s NOSUCH", "kill j --grace -1",
        "ps @state:running", "ps", "completion tcsh", "config add a/b file", "config use nobody", "run",
        "--context a --credential b jobs", "credential --id a/b", "credential --id a a", "jobs --timeout never",
        "console", "top j -d 0", "top j -d 99999999",
    ],
)  # fmt: skip
def test_wrong_usage_is_one_line_and_exit_2(words: str, at_fake: Run, fake: Any) -> None:
    result = at_fake(*words.split())

    assert (result.status, result.out) == (2, b"")
    assert result.err.startswith("jobmon: ")
    assert result.err.count("\n") == 1
    assert ";" in result.err, "it says what to do"


def test_nobody_named_is_exit_7(jobmon: Run) -> None:
    assert jobmon("jobs").status == 7
    assert jobmon("jobs", "--credential", "/nonexistent.jobmon").status == 7


def test_a_deadline_is_exit_124_also_when_the_server_hangs(at_fake: Run, fake: Any) -> None:
    import threading

    released = threading.Event()
    fake.chunks("GET /v1/jobs", lambda: b"\n" if released.wait(10) else b"")
    try:
        result = at_fake("jobs", "--timeout", "0.3")
    finally:
        released.set()

    assert (result.status, result.err) == (124, "jobmon: no end after 0.3 s; give --timeout more\n")


def test_ps_draws_a_tree(at_fake: Run, fake: Any) -> None:
    pids = {1: 0, 2: 1, 3: 2, 4: 1, 5: 99}
    fake.answer(
        "j", (frames.RECORD, {"processes": [{"pid": p, "ppid": q, "command": f"c{p}"} for p, q in pids.items()]})
    )

    lines = at_fake("ps", "j").text.splitlines()[1:]

    drawn = [line[line.index("c") - 6 if "─" in line and "   " in line[-12:] else 0 :] for line in lines]
    assert [line.rsplit("  ", 1)[-1].strip() for line in lines] == ["c1", "├─ c2", "└─ c3", "└─ c4", "c5"], drawn


PROCESS = {
    "pid": 7,
    "ppid": 1,
    "user": "alice",
    "state": "R",
    "cpu_percent": 97.3,
    "cpu_seconds": 60,
    "rss": 2**30,
    "threads": 2,
    "read": 3 * 2**20,
    "written": 4 * 2**30,
    "open_files": 12,
    "command": "simulate",
}


def test_ps_tells_storage_and_open_files_where_there_is_room(
    at_fake: Run, fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.answer("j", (frames.RECORD, {"processes": [PROCESS]}))

    titles, row = at_fake("ps", "j").text.splitlines()
    monkeypatch.setattr("jobmon_console.cli.screen.width", lambda: 80)
    narrow = at_fake("ps", "j").text

    assert titles.split()[:2] + titles.split()[7:10] == ["PID", "USER", "READ", "WRITTEN", "FILES"]
    assert row.split() == ["7", "alice", "R", "97", "1m00s", "1.0G", "2", "3.0M", "4.0G", "12", "-", "simulate"]
    assert "FILES" not in narrow
    assert "simulate" in narrow
    assert all(len(line) <= 80 for line in narrow.splitlines())


def test_ps_tells_whose_share_of_memory_was_refused(at_fake: Run, fake: Any) -> None:
    large = {**PROCESS, "pid": 8, "pss": None, "pss_refused": "pid 8 has 4.0 GiB resident"}
    fake.answer("j", (frames.RECORD, {"processes": [{**PROCESS, "pss": 2**20}, large]}))

    ran = at_fake("ps", "--pss", "j")

    assert [line.split()[6] for line in ran.text.splitlines()] == ["PSS", "1.0M", "refused"]
    assert "jobmon: pid 8 has 4.0 GiB resident\n" in ran.err
    assert json.loads(fake.asked[-1][1]) == {"verb": "ps", "arguments": {"pss": True, "force": False}}


def test_ps_takes_whatever_stands_in_place_of_a_number(at_fake: Run, fake: Any) -> None:
    odd: list[Any] = [[1], {"a": 1}, None, "x", 1.5, 7]
    rows = [{"pid": one, "ppid": two, "name": "odd"} for one in odd for two in odd]
    fake.answer("j", (frames.RECORD, {"processes": rows}))

    ran = at_fake("ps", "j")

    assert (ran.status, ran.text.count("odd")) == (0, len(rows))


def test_top_and_node_tell_what_limits_the_job(at_fake: Run, fake: Any, record: Make) -> None:
    gpu = {"index": 0, "utilization": 97, "job_memory": 30 * 2**30, "memory": 40 * 2**30}
    job = {"cpu_percent": 99.0, "rss": 2**30, "processes": 1, "threads": 2, "memory_limit": 2**31, "memory": 2**30}
    job.update(memory_peak=3 * 2**29, oom_kills=2, cpu_limit=1.5, throttled_seconds=4.25, gpus=[gpu])
    fake.rows("GET /v1/jobs", record())
    for ref in ("4711", record()["uuid"]):
        fake.answer(ref, (frames.RECORD, {"job": job, "processes": [PROCESS]}))
    fake.document("GET /v1/jobs/4711", record())
    said = ["2 OOM kills", "memory peak 1.5G", "cpu limit 150%", "held back 4.2s", "gpu 0 97% 30.0G of 40.0G"]

    top, node = at_fake("top", "-n", "1", "4711").text, at_fake("node", "4711").text

    assert "  mem 1.0G of 2.0G  1 process" in top
    assert "limits  " + "  ".join(said) in top
    assert "the job    " + ", ".join(["mem 1.0G of 2.0G", *said]) in node


def test_node_takes_a_job_or_a_node(at_fake: Run, fake: Any, record: Make) -> None:
    fake.rows("GET /v1/jobs", record())
    fake.document("GET /v1/jobs/4711", record())
    fake.answer(record()["uuid"], (frames.RECORD, {"node": "wn042", "cpus": 8, "load": [1, 2, 3]}))

    assert "1.00 2.00 3.00 on 8 cpus" in at_fake("node", "4711").text
    assert "4711.0" in at_fake("node", "wn042").text
    assert fake.asked[-1][0] == "GET /v1/jobs?select=node%3D%22wn042%22"
    fake.rows("GET /v1/jobs")
    assert at_fake("node", "wn043").status == 3


def test_log_follows_and_audit_filters(at_fake: Run, fake: Any) -> None:
    fake.rows("GET /v1/jobs/j/log", {"seq": 1, "at": "2026-11-22T00:00:00Z", "kind": "progress", "text": "37% of it"})
    fake.document("GET /v1/jobs/j", {"id": "j", "state": "ended"})
    fake.rows("GET /v1/audit")

    assert "37% of it" in at_fake("log", "-f", "j").text
    assert fake.asked[0][0] == "GET /v1/jobs/j/log?follow=1"
    assert at_fake("audit", "j", "--limit", "3").status == 0
    assert fake.asked[-1][0] == "GET /v1/audit?job=j&limit=3"


def test_odd_characters_in_an_id_lead_to_no_other_route(at_fake: Run, fake: Any) -> None:
    for ref in ("../whoami", "..", "a/b"):
        assert at_fake("ps", ref).status == 3
    assert fake.asked == []
    assert at_fake("ps", "a?b#c d%2f\u00fc").status == 3
    assert fake.asked[-1][0] == "POST /v1/jobs/a%3Fb%23c%20d%252f%C3%BC/query"

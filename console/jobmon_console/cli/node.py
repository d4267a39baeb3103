"""``jobmon node``: the node a job runs on, or the jobs of a node."""

import argparse
from typing import Any

from jobmon_console import allowance, calls
from jobmon_console.cli import columns, jobs, reach, screen, words
from jobmon_console.contexts import Context
from jobmon_console.errors import JobMonError
from jobmon_console.replies import Record
from jobmon_console.safe import safe
from jobmon_wire import answers
from jobmon_wire.frames import RECORD


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("job", metavar="JOB|NODE", nargs="+", help="jobs, @SELECTOR, or the name of one node")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(arguments: argparse.Namespace) -> int:
    """Show the nodes of the jobs, or the jobs of the node."""
    contexts = reach.contexts_of(arguments)
    try:
        targets = reach.find_many(contexts, arguments.job)
    except JobMonError as error:
        if getattr(error, "code", "") == "no-such-job" and len(arguments.job) == 1:
            return _jobs_of(contexts, arguments.job[0], error, arguments.json)
        raise
    worst = answers.DONE
    for outcome in reach.each(targets, _ask):
        if outcome.error is not None:
            screen.note(f"{outcome.asked.name}: {outcome.error}")
            worst = max(worst, outcome.error.exit_status)
        elif arguments.json:
            screen.put_json(dict(outcome.value, job=outcome.asked.name))
        else:
            _print(outcome.asked.name, outcome.value)
    return worst


def _ask(target: reach.Target) -> Record:
    found: Record = {}
    for frame in reach.ask_frames(target, "node", {}):
        if frame.type == RECORD:
            found.update(frame.document())
    return found


def _jobs_of(contexts: list[Context], node: str, unknown: JobMonError, as_json: bool) -> int:
    if node.startswith("@") or '"' in node:
        raise unknown
    outcomes = reach.over_contexts(contexts, lambda session: list(session.rows(calls.jobs(f'node="{node}"'))))
    records = [record for outcome in outcomes for record in outcome.value or ()]
    if not records:
        worst = reach.complain(outcomes)
        if worst:
            return worst
        raise unknown
    if as_json:
        for record in records:
            screen.put_json(record)
    else:
        jobs.print_table(records, columns.usual(records, len(contexts)))
    return reach.complain(outcomes)


def _print(name: str, node: Record) -> None:
    rows = {
        "job": name,
        "node": columns.text(node.get("node")),
        "load": _load(node),
        "memory": _share(node, "memory_available", "memory"),
        "swap": _share(node, "swap_free", "swap"),
        "disk": _share(node.get("disk"), "free", "size"),
        "the job": ", ".join(fact.text for fact in _facts(node)) or words.UNKNOWN,
        "cpu": columns.text(node.get("cpu_model")),
        "kernel": columns.text(node.get("kernel")),
        "up": words.span(node.get("uptime")),
        "user": columns.text(node.get("user")),
        "directory": columns.text(node.get("cwd")),
        "python": columns.text(node.get("python")),
        "agent": f"{columns.text(node.get('agent'))} ({columns.text(node.get('mode'))})",
        "batch": columns.text(node.get("batch")),
    }
    for title, value in rows.items():
        screen.put(f"{title:9}  {safe(value)}")


def _facts(node: Record) -> list[allowance.Fact]:
    job = node.get("job")
    if not isinstance(job, dict):
        return []
    held = allowance.memory(job, words.size)
    return [held._replace(text=f"mem {held.text}"), *allowance.facts(job, words.size)]


def _load(node: Record) -> str:
    load = node.get("load")
    shown = (
        " ".join(f"{value:.2f}" for value in load if isinstance(value, (int, float))) if isinstance(load, list) else ""
    )
    return f"{shown or words.UNKNOWN} on {words.plural(node['cpus'], 'cpu')}" if node.get("cpus") else shown


def _share(figures: Any, free: str, whole: str) -> str:
    if not isinstance(figures, dict) or figures.get(whole) in (None, 0):
        return words.UNKNOWN
    return f"{words.size(figures.get(free))} free of {words.size(figures[whole])}"

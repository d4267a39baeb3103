"""``jobmon jobs``: the list, once or as it changes."""

import argparse
import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

from jobmon_console import calls
from jobmon_console.cli import columns, parser, reach, screen, table
from jobmon_console.cli.retries import Retries
from jobmon_console.contexts import Context
from jobmon_console.errors import AnswerError, CutOffError, JobMonError
from jobmon_console.jobs import Mirror, Position
from jobmon_console.replies import Record
from jobmon_console.session import Session
from jobmon_wire import answers
from jobmon_wire.jobs import FIELDS

_Found = queue.SimpleQueue[tuple[Context, Any]]  # records, a sentence about the watch, or the error that ended it

GONE = "gone"  # the state that a table tells of a job which matches no more, or which the server has forgotten
_NEWEST = "started"  # lists are ordered by it unless it is said otherwise

_SELECTORS = """\
selectors:
  word            id, name, owner, node or cluster holds it
  field:value     holds it; * and ? match, a,b is either
  = != > >= < <=  exact; numbers, sizes (10G), times (90s 2h 3d), dates
  or, not, -, ()  side by side means and
  fields: id name owner cluster node state health exit reason cpu mem gpu io age
          started ended silent array batch cmd callback tag.KEY; owner:me is you
"""


def add_arguments(parser_: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser_.epilog = f"{parser_.epilog}\n\n{_SELECTORS}"
    parser_.add_argument("selector", metavar="SELECTOR", nargs="*", help="which jobs; all of yours when left out")
    parser_.add_argument(
        "--watch", action="store_true", help="then print each change as it happens; gone: it matches no more"
    )
    parser_.add_argument("--json", action="store_true", help="one JSON object a line")
    parser_.add_argument("--columns", metavar="A,B,C", type=columns.choose, help="fields to print, in this order")
    parser_.add_argument("--sort", metavar="COLUMN", default="", help="sort by a field; FIELD- descends")
    parser_.add_argument("--limit", metavar="N", type=parser.count, help="at most so many")
    parser_.add_argument("--no-header", action="store_true", help="rows only")


def run(arguments: argparse.Namespace) -> int:
    """List the jobs."""
    selector = " ".join(arguments.selector)
    reach.check_selector(selector)
    contexts = reach.contexts_of(arguments)
    if arguments.watch:
        return _watch(arguments, contexts, selector)
    sort = _sort(arguments.sort)
    call = calls.jobs(selector, sort, arguments.limit, _fields(arguments, sort))
    if arguments.json and len(contexts) == 1:
        with Session(contexts[0]) as session:
            for record in session.rows(call):
                screen.put_json(_shaped(record, contexts[0].name, arguments.columns))
        return answers.DONE
    outcomes = reach.over_contexts(contexts, lambda session: list(session.rows(call)))
    records = [dict(record, context=outcome.asked.name) for outcome in outcomes for record in outcome.value or ()]
    if len(contexts) > 1:
        records = _sorted(records, sort)[: arguments.limit]
    _print(arguments, records, len(contexts))
    return reach.complain(outcomes)


def _fields(arguments: argparse.Namespace, sort: str) -> list[str]:
    """What to ask for of each job; nothing: everything."""
    if arguments.json:
        names = [name for name in arguments.columns or () if name not in columns.EXTRA]
        return [*names, sort.lstrip("-") or _NEWEST] if names else []
    return [*columns.fields(arguments.columns), sort.lstrip("-") or _NEWEST]


def print_table(records: list[Record], names: list[str], has_header: bool = True) -> None:
    """The records as a table."""
    now = time.time()
    lines = table.lines(columns.head(names), [columns.row(names, record, now) for record in records], has_header)
    colours = ["bold"] * has_header + [columns.colour(record) for record in records]
    for line, colour in zip(lines, colours, strict=True):
        screen.put(screen.paint(line, colour))


def _print(arguments: argparse.Namespace, records: list[Record], contexts: int) -> None:
    if arguments.json:
        for record in records:
            screen.put_json(_shaped(record, record["context"], arguments.columns))
        return
    names = arguments.columns or columns.usual(records, contexts)
    has_header = not arguments.no_header and (bool(records) or not screen.is_terminal())
    print_table(records, names, has_header)
    if not records and screen.is_terminal():
        screen.note("no job matches" if arguments.selector else "no jobs; start one with: jobmon run -- COMMAND")


def _watch(arguments: argparse.Namespace, contexts: list[Context], selector: str) -> int:
    names = arguments.columns or columns.usual([], len(contexts))
    changes = _ChangesTable(names, has_header=not arguments.no_header)
    worst = answers.DONE
    for context, told in _changes(contexts, selector):
        if isinstance(told, JobMonError):
            worst = max(worst, told.exit_status)
        if isinstance(told, (str, JobMonError)):
            screen.note(f"{context.name}: {told}" if len(contexts) > 1 else str(told))
        elif arguments.json:
            for record in told:
                screen.put_json(_shaped(record, context.name, arguments.columns, has_gone="gone" in record))
        else:
            changes.put(context.name, told)
        screen.flush()
    return worst


class _ChangesTable:
    """A job again whenever one of its cells is another; what only time changed is no change."""

    def __init__(self, names: list[str], *, has_header: bool) -> None:
        self._names = names
        self._lacks_header = has_header
        self._table = table.Table(columns.head(names))
        self._printed: dict[tuple[str, Any], list[str]] = {}  # cells by context and job

    def put(self, context: str, records: list[Record]) -> None:
        """Print what is another in records that came together."""
        rows, colours = [], [""] * self._lacks_header
        for record in records:
            shown = dict(record, context=context) | ({"state": GONE} if "gone" in record else {})
            cells = columns.row(self._names, shown, time.time())
            lasting = [cell for name, cell in zip(self._names, cells, strict=True) if name != "time"]
            job = context, record.get("uuid")
            if lasting != self._printed.get(job):
                rows.append(cells)
                colours.append(columns.colour(shown))
            self._printed[job] = lasting
            if "gone" in record:
                del self._printed[job]
        lines = self._table.lines(rows, has_header=self._lacks_header)
        self._lacks_header = False
        for line, colour in zip(lines, colours, strict=True):
            screen.put(screen.paint(line, colour))


def _changes(contexts: list[Context], selector: str) -> Iterator[tuple[Context, Any]]:
    """Changes of all contexts as they come, and sentences about them; an error is a context's last."""
    sessions: list[Session] = []
    for context in contexts:
        try:
            sessions.append(Session(context))
        except JobMonError as error:
            yield context, error
    found: _Found = queue.SimpleQueue()
    for session in sessions:
        threading.Thread(target=_follow, args=(session, selector, found), daemon=True).start()
    left = len(sessions)
    while left:
        context, change = found.get()
        left -= isinstance(change, JobMonError)
        yield context, change


def _follow(session: Session, selector: str, found: _Found) -> None:
    """Put the changes of one context, a sentence each time they break off, and the error that ended them."""
    mirror, position, retries, has_begun = Mirror(session.context.name), Position(), Retries(), False
    try:
        with session:
            while True:
                try:
                    for line in session.rows(calls.watch(selector, resume=str(position))):
                        retries.came()
                        has_begun = has_begun or line.get("kind") == "live"
                        position.take(line)
                        if changed := list(_changed(mirror, line)):
                            found.put((session.context, changed))
                    raise CutOffError(f"{session.link.url} ended the list; ask again")
                except JobMonError as error:
                    if not has_begun:
                        raise
                    if retries.broke(error):
                        found.put((session.context, "the list broke off; going on with it when it can be had"))
                    retries.wait()
    except JobMonError as error:
        found.put((session.context, error))
    except Exception as error:  # whatever a server answers, nobody waits for a thread that is gone
        found.put((session.context, AnswerError(f"unexpected answer ({type(error).__name__}: {error})")))


def _changed(mirror: Mirror, line: Record) -> Iterator[Record]:
    """The jobs that a line of a watch changes, in its order; one that matches no more as it was, with ``gone``."""
    line = mirror.pack(line)
    leaving = list(mirror.rows) if line.get("kind") == "live" else line.get("uuids") or ()
    before = {uuid: mirror.rows[uuid] for uuid in leaving if uuid in mirror.rows}
    named = [job.get("uuid") for job in line.get("jobs") or ()]
    touched = mirror.apply(line)
    for uuid in dict.fromkeys(uuid for uuid in [*named, *before] if isinstance(uuid, str) and uuid in touched):
        row = mirror.rows.get(uuid)
        yield dict(before[uuid].record(), gone=True) if row is None else row.record()


def _shaped(record: Record, context: str, names: list[str] | None, has_gone: bool = False) -> dict[str, Any]:
    """The object a script gets: every field it may rely on, null where unknown."""
    whole = {field.name: record.get(field.name) for field in FIELDS}
    whole["context"] = context
    if has_gone:
        whole["gone"] = True
    if not names:
        return whole
    return {name: whole.get(name) for name in names if name != "time"} | ({"gone": True} if has_gone else {})


def _sort(text: str) -> str:
    """``cpu``, ``-cpu`` or ``cpu-`` as the server takes it."""
    if not text:
        return ""
    falls = text.startswith("-") or text.endswith("-")
    name = columns.choose(text.strip("-"))[0]
    falls = falls != (name == "time")  # the longest time started first
    name = {"time": "started", "context": "cluster"}.get(name, name)
    return f"-{name}" if falls else name


def _sorted(records: list[Record], sort: str) -> list[Record]:
    """Merge what several servers sorted."""
    name = sort.lstrip("-") or _NEWEST

    def key(record: Record) -> tuple[Any, ...]:
        value = record.get(name)
        return (value,) if isinstance(value, (int, float)) else (columns.text(value),)

    known = [record for record in records if record.get(name) is not None]
    numbers = all(isinstance(record[name], (int, float)) for record in known)
    known.sort(key=key if numbers else lambda record: (columns.text(record[name]),), reverse=sort[:1] in ("-", ""))
    return known + [record for record in records if record.get(name) is None]

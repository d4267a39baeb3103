"""``jobmon kill``: a signal to every process of the jobs or to one of them, and to nothing else.

One job named by its id needs no question.  Several, or a selector, are listed
first; more than a few, or any that its owner has tagged ``protected``, are
confirmed by typing how many they are.

One process is looked up before it is signalled, and its start goes with the
signal: what a person was asked about gets it, or nothing does.  An agent that
cannot do that is never asked for the whole job in its place.
"""

import argparse

from jobmon_console import prompt
from jobmon_console.cli import columns, jobs, parser, ps, reach, screen, table, words
from jobmon_console.errors import RefusedError, UsageError
from jobmon_console.replies import Record
from jobmon_console.safe import safe
from jobmon_wire import answers, verbs
from jobmon_wire.frames import RECORD
from jobmon_wire.jobs import ALIVE

TYPED_ABOVE = 5  # targets; above it the number is typed, so that a habit of pressing y is no answer
PROTECTED = "protected"  # name of the tag
LISTED = 12  # targets shown before the question
COMMAND = 60  # cells of a process's command in the question


def add_arguments(parser_: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser_.add_argument("job", metavar="JOB", nargs="+", help="ids, prefixes, or '@SELECTOR'")
    parser_.add_argument(
        "-s", "--signal", metavar="SIGNAL", type=_signal, default="TERM", help="TERM (default), INT, 15, …"
    )
    parser_.add_argument(
        "--grace", metavar="S", type=_grace, help="seconds until KILL; after TERM 10 unless given, else no KILL"
    )
    parser_.add_argument("--pid", metavar="PID", type=_pid, help="this process of the job alone, see: jobmon ps")
    parser_.add_argument("--yes", action="store_true", help="do not ask")


def run(arguments: argparse.Namespace) -> int:
    """Send the signal."""
    contexts = reach.contexts_of(arguments)
    is_plain = len(arguments.job) == 1 and not arguments.job[0].startswith("@")
    if arguments.pid is not None:
        if not is_plain:
            raise UsageError("--pid is about one process of one job; name one JOB by its id, see: jobmon kill --help")
        return _run_one(reach.find_one(contexts, arguments.job[0]), arguments)
    targets = [reach.find_one(contexts, arguments.job[0])] if is_plain else reach.find_many(contexts, arguments.job)
    if not is_plain:
        targets = [target for target in targets if (target.record or {}).get("state") in ALIVE]
        if not targets:
            screen.note("none of these jobs runs any more")
            return answers.NOBODY_TO_ASK
        if not arguments.yes and not _is_confirmed(targets, arguments.signal):
            screen.note("nothing was sent")
            return answers.USAGE
    return _send(targets, arguments)


def _run_one(target: reach.Target, arguments: argparse.Namespace) -> int:
    """Signal one process."""
    pid = arguments.pid
    process = next((process for process in ps.read(target, {}) if process.get("pid") == pid), None)
    if process is None:
        raise RefusedError("action-failed", f"{pid} is no process of this job; see: jobmon ps {target.name}")
    started = process.get("started_exactly")
    if not isinstance(started, str):
        raise _too_old()
    if not arguments.yes and not _is_confirmed_one(target, process, arguments.signal):
        screen.note("nothing was sent")
        return answers.USAGE
    try:
        result = _ask(target, _asked(arguments) | {"pid": pid, "started": started})
    except RefusedError as error:
        if error.code == "unsupported":  # its own sentence says to ask without the option, which is the whole job
            raise _too_old() from None
        raise
    screen.put(safe(f"{target.name}: {_told_of_one(result, pid)}"))
    return answers.DONE


def _too_old() -> RefusedError:
    return RefusedError(
        "unsupported",
        "the job's agent is too old to signal one process alone, so nothing was sent; "
        "a job started with a newer jobmond.pyz takes it",
    )


def _is_confirmed_one(target: reach.Target, process: Record, signal: str) -> bool:
    pid = columns.text(process.get("pid"))
    if not screen.can_ask():
        raise UsageError(f"process {pid} would get {signal} and there is no terminal to ask at; give --yes")
    command = table.cut(safe(" ".join(ps.command(process).split())), COMMAND)
    beside = ", the job's own process" if process.get("is_job") is True else ""
    whose = safe(f"{target.name} ({columns.text(process.get('user'))}{beside})")
    return prompt.ask(f"{signal} to process {pid} of {whose}: {command}? [y/N] ").lower() in ("y", "yes")


def _asked(arguments: argparse.Namespace) -> Record:
    asked: Record = {"signal": arguments.signal}
    return asked if arguments.grace is None else asked | {"grace": arguments.grace}


def _ask(target: reach.Target, asked: Record) -> Record:
    found: Record = {}
    for frame in reach.ask_frames(target, "kill", asked):
        if frame.type == RECORD:
            found.update(frame.document())
    return found


def _send(targets: list[reach.Target], arguments: argparse.Namespace) -> int:
    asked = _asked(arguments)

    def ask(target: reach.Target) -> Record:
        return _ask(target, asked)

    worst = answers.DONE
    for outcome in reach.each(targets, ask):
        if outcome.error is None:
            screen.put(safe(f"{outcome.asked.name}: {_told(outcome.value)}"))
            screen.flush()
            continue
        if len(targets) == 1:
            raise outcome.error
        worst = max(worst, outcome.error.exit_status)
        screen.note(f"{outcome.asked.name}: {outcome.error}")
    return worst


def _told(result: Record) -> str:
    """What the agent did, in words."""
    sent, killed, left = (_count(result.get(key)) for key in ("sent", "killed", "left"))
    text = f"{columns.text(result.get('signal'))} sent to {words.plural(sent, 'process')}"
    if killed:
        text += f", {killed} got KILL after the grace"
    if left:
        text += f", {left} still there"
    return text


def _told_of_one(result: Record, pid: int) -> str:
    """What the agent did with one process, in words."""
    killed, left = (_count(result.get(key)) for key in ("killed", "left"))
    text = f"{columns.text(result.get('signal'))} sent to process {pid}"
    if killed:
        text += ", which got KILL after the grace"
    if left:
        return text + (" and is still there" if killed else ", which is still there")
    return text + (" and has ended" if killed else ", which has ended")


def _is_protected(target: reach.Target) -> bool:
    return PROTECTED in ((target.record or {}).get("tags") or {})


def _is_confirmed(targets: list[reach.Target], signal: str) -> bool:
    if not screen.can_ask():
        raise UsageError(
            f"{words.plural(len(targets), 'job')} would get {signal} and there is no terminal to ask at; give --yes"
        )
    jobs.print_table([target.record or {} for target in targets[:LISTED]], ["id", "owner", "node", "state", "name"])
    if len(targets) > LISTED:
        screen.put(f"and {len(targets) - LISTED} more")
    screen.flush()
    are_protected = any(map(_is_protected, targets))
    if len(targets) > TYPED_ABOVE or are_protected:
        who = f"{words.plural(len(targets), 'job')}{', with protected ones' if are_protected else ''}"
        return prompt.ask(f"{signal} to {who}? Type their number to go on: ") == str(len(targets))
    return prompt.ask(f"{signal} to {words.plural(len(targets), 'job')}? [y/N] ").lower() in ("y", "yes")


def _count(pids: object) -> int:
    return len(pids) if isinstance(pids, list) else 0


def _signal(text: str) -> str:
    try:
        return verbs.parse_signal(text)
    except verbs.ArgumentError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _pid(text: str) -> int:
    pid = parser.count(text)
    try:
        verbs.check_arguments(verbs.VERBS["kill"], {"pid": pid})
    except verbs.ArgumentError:
        raise argparse.ArgumentTypeError(f"{pid} is the number of no job's process") from None
    return pid


def _grace(text: str) -> float:
    return 0.0 if text in ("0", "0.0") else parser.positive(text)

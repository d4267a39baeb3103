"""From what was typed to servers and jobs: contexts, JOB and @SELECTOR.

Several contexts are asked side by side; one that does not answer is said and
does not hide the others.
"""

import argparse
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

from jobmon_console import calls
from jobmon_console.cli import screen
from jobmon_console.contexts import Context, Flags, absolute, load_contexts
from jobmon_console.errors import (
    AmbiguousJobError,
    CutOffError,
    JobMonError,
    RefusedError,
    UnreachableError,
    UsageError,
)
from jobmon_console.holding import HELD
from jobmon_console.replies import Record
from jobmon_console.session import Session
from jobmon_wire import answers, verbs

T = TypeVar("T")

# In a child of the connection holder the one context that it has; None: any.
only: Context | None = None

ANSWERERS = 16  # connections at once for a command on many jobs


class ElsewhereError(BaseException):
    """The command is not for the holder that it was given to; it is to be carried out elsewhere."""


class Target(NamedTuple):
    """One job to act on."""

    context: Context
    ref: str  # what to call it to its server; a uuid where it was looked up
    record: Record | None  # None where it was not looked up

    @property
    def name(self) -> str:
        """What to call it to a person."""
        return str(self.record["id"]) if self.record and self.record.get("id") else self.ref


class Outcome(NamedTuple):
    """What came of asking one of several."""

    asked: Any
    value: Any  # what it gave; None where it failed
    error: JobMonError | None


def contexts_of(arguments: argparse.Namespace) -> list[Context]:
    """The contexts a command is about.

    Raises:
        JobMonError: there is none, or it cannot be told which.
        ElsewhereError: in a child of the holder, which is for another context, or not for such a command.
    """
    found = load_contexts(flags_of(arguments), os.environ)
    if only is None:
        return found
    is_endless = getattr(arguments, "follow", False) or getattr(arguments, "watch", False)
    if is_endless or arguments.command not in HELD or list(map(absolute, found)) != [only]:
        raise ElsewhereError
    return [only]


def flags_of(arguments: argparse.Namespace) -> Flags:
    """What the command line says of contexts."""
    given = {name: value for name in Flags._fields if (value := getattr(arguments, name, None))}
    flags = Flags(**given)
    return flags._replace(context=tuple(flags.context))


def each(asked: list[T], ask: Callable[[T], Any]) -> Iterator[Outcome]:
    """Ask several at once, at most ``ANSWERERS``; give the outcomes as they come."""
    if len(asked) == 1:
        yield _outcome(asked[0], ask)
        return
    import queue  # one server is asked without threads, and most commands ask one
    import threading

    todo: queue.SimpleQueue[T | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[Outcome | BaseException] = queue.SimpleQueue()
    for one in asked:
        todo.put(one)

    def work() -> None:
        try:
            while (one := todo.get_nowait()) is not None:
                done.put(_outcome(one, ask))
        except queue.Empty:
            pass
        except BaseException as error:  # a fault of ours: it is raised where somebody sees it
            done.put(error)

    for _ in range(min(ANSWERERS, len(asked))):
        # Daemons: a Ctrl-C must not wait for a server that does not answer.
        threading.Thread(target=work, daemon=True).start()
    for _ in asked:
        outcome = done.get()
        if isinstance(outcome, BaseException):
            raise outcome
        yield outcome


def over_contexts(contexts: list[Context], ask: Callable[[Session], T]) -> list[Outcome]:
    """Ask every context's server; outcomes in the contexts' order.

    Raises:
        JobMonError: there is one context, and it failed.
    """
    sessions: dict[Context, Session | JobMonError] = {}
    for context in contexts:  # not in the threads: it may ask for a passphrase
        try:
            sessions[context] = Session(context)
        except JobMonError as problem:
            sessions[context] = problem

    def ask_one(context: Context) -> T:
        session = sessions[context]
        if isinstance(session, JobMonError):
            raise session
        with session:
            return ask(session)

    outcomes = {outcome.asked: outcome for outcome in each(contexts, ask_one)}
    if len(contexts) == 1 and (error := outcomes[contexts[0]].error):
        raise error
    return [outcomes[context] for context in contexts]


def complain(outcomes: list[Outcome]) -> int:
    """Say which contexts failed; the worst exit status."""
    worst = answers.DONE
    for outcome in outcomes:
        if outcome.error is not None:
            screen.note(f"{outcome.asked.name}: {outcome.error}")
            worst = max(worst, outcome.error.exit_status)
    return worst


def find_one(contexts: list[Context], ref: str, look_up: bool = False) -> Target:
    """The one job that is meant.

    With one context the server finds it when it is asked; looking it up first
    would cost a round trip.

    Raises:
        UsageError: @SELECTOR, where one job is wanted.
        AmbiguousJobError: more than one context has it.
        RefusedError: no context has it.
        UnreachableError: no context that answered has it, and one did not answer.
    """
    if ref.startswith("@"):
        raise UsageError(f"{ref!a} may be many jobs and this command takes one; list them with: jobmon jobs")
    if not ref:
        raise UsageError("the job's id is empty; name one, or see: jobmon jobs")
    if "/" in ref or not ref.strip("."):
        # No id looks like this, and in a path it would name another route.
        raise RefusedError("no-such-job", f"there is no job {ref!a}")
    if len(contexts) == 1 and not look_up:
        return Target(contexts[0], ref, None)
    outcomes = over_contexts(contexts, lambda session: session.fetch(calls.job(ref)))
    found = [Target(o.asked, str(o.value["uuid"]), o.value) for o in outcomes if o.value is not None]
    if len(found) > 1:
        raise AmbiguousJobError(ref, [target.context.name for target in found])
    if found:
        return found[0]
    # One that could not say whether it has the job weighs more than those that have it not.
    errors = [o for o in outcomes if o.error and getattr(o.error, "code", "") != "no-such-job"]
    if errors and errors[0].error:
        raise _in_context(errors[0].asked, errors[0].error)
    if outcomes[0].error:
        raise outcomes[0].error
    raise RefusedError("no-such-job", f"there is no job {ref!a}")


def find_many(contexts: list[Context], refs: list[str]) -> list[Target]:
    """The jobs that are meant by ids, prefixes and @SELECTORs, each once.

    Raises:
        JobMonError: as ``find_one``; and when a selector matches no job.
    """
    found: dict[str, Target] = {}
    for ref in refs:
        for target in _select(contexts, ref[1:]) if ref.startswith("@") else [find_one(contexts, ref, look_up=True)]:
            found.setdefault(target.ref, target)
    return list(found.values())


def ask_frames(target: Target, verb: str, arguments: dict[str, Any]) -> Iterator[Any]:
    """The frames of the answer to a verb, for one job.

    Raises:
        UsageError: the verb does not take that.
        JobMonError: see ``errors``.
    """
    try:
        call = calls.query(target.ref, verb, arguments)
    except verbs.ArgumentError as error:
        raise UsageError(f"{error}; see: jobmon {verb} --help") from None
    with Session(target.context) as session:
        try:
            yield from session.frames(call)
        except CutOffError:
            ask_why(target.context)
            raise


def ask_why(context: Context) -> None:
    """After an answer broke off: raise what the server says of the credential now, if it was revoked or has expired."""
    with suppress(UnreachableError), Session(context) as session:
        session.fetch(calls.whoami())


def _select(contexts: list[Context], selector: str) -> list[Target]:
    check_selector(selector)
    outcomes = over_contexts(contexts, lambda session: list(session.rows(calls.jobs(selector))))
    for outcome in outcomes:
        # Acting on a part of what was meant would look like acting on all of it.
        if outcome.error:
            raise _in_context(outcome.asked, outcome.error)
    found = [Target(o.asked, str(row["uuid"]), row) for o in outcomes for row in o.value or ()]
    if not found:
        raise RefusedError("no-such-job", f"no job matches {selector!a}; see: jobmon jobs")
    return found


def check_selector(selector: str) -> None:
    """Refuse a wrong selector before anybody is asked.

    Raises:
        UsageError: with the position and what was expected there.
    """
    from jobmon_wire.selectors import SelectorError, parse_selector

    try:
        parse_selector(selector)
    except SelectorError as error:
        raise UsageError(f"{error}; see the selectors in: jobmon jobs --help") from None


def _in_context(context: Context, error: JobMonError) -> JobMonError:
    error.args = (f"{context.name}: {error}",)
    return error


def _outcome(asked: T, ask: Callable[[T], Any]) -> Outcome:
    try:
        return Outcome(asked, ask(asked), None)
    except JobMonError as error:
        return Outcome(asked, None, error)

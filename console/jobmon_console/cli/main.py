"""``jobmon``: run one command and exit as the contract says."""

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from jobmon_console.cli import screen
from jobmon_console.cli.commands import COMMANDS, PASSED_ON
from jobmon_console.cli.parser import build_parser
from jobmon_console.errors import AnswerError, JobMonError, MissingExtraError, RanOutError, RefusedError, UsageError
from jobmon_wire import answers
from jobmon_wire.frames import FrameError

# Which extra brings a module that may be missing.
_EXTRAS = {
    "cryptography": ("the part for certificates", "pki"),
    "textual": ("the full-screen console", "console"),
    "rich": ("the full-screen console", "console"),
    "httpx": ("the full-screen console", "console"),
    "jobmon_pki": ("the part for certificates", "pki"),
}


# What to do about a refusal whose sentence is only what happened.
_ADVICE = {
    "no-such-job": "see: jobmon jobs",
    "ambiguous-job": "give more of its id",
    "job-ended": "see: jobmon show, jobmon log, jobmon tail",
    "job-silent": "wait for its agent, or see: jobmon log",
    "job-lost": "see: jobmon log",
    "agent-gone": "see: jobmon log",
    "not-permitted": "ask the job's owner or the site's administrator",
    "no-such-file": "see: jobmon ls",
    "not-a-file": "see: jobmon ls",
    "outside-sandbox": "name a path below the job's directory",
    "bad-selector": "see: jobmon jobs --help",
    "busy": "try again soon",
    "too-many": "try again soon",
    "draining": "try again soon",
}
_ADVICE_ELSE = "to look into it, run: jobmon doctor"


def main(arguments: list[str] | None = None, *, passing: tuple[type[JobMonError], ...] = ()) -> int:
    """Run the command line; the exit status.

    Args:
        arguments: without the program's name; by default this process's.
        passing: errors that are the caller's to tell.
    """
    _prepare_streams()
    try:
        status = _run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
        return status
    except passing:
        raise
    except JobMonError as error:
        return _complain(error)
    except ModuleNotFoundError as error:
        missing = _EXTRAS.get((error.name or "").split(".", 1)[0])
        if missing is None:
            raise
        return _complain(MissingExtraError(*missing))
    except KeyboardInterrupt:
        _discard_output()
        return answers.INTERRUPTED
    except BrokenPipeError:
        # `| head` has seen enough.
        _discard_output()
        return answers.DONE
    except Exception as error:
        return _complain(_as_ours(error))


def _as_ours(error: Exception) -> JobMonError:
    """The sentence for an error that is not one of ours."""
    if isinstance(error, OSError):
        return JobMonError(f"{error.filename or 'output'}: {error.strerror or error}; see to it")
    if isinstance(error, FrameError):
        return AnswerError(f"the answer is not what the protocol says: {error}; compare the versions")
    # A fault of ours or a server's nonsense: scripts still get one line; the trace is there for who wants it.
    if os.environ.get("JOBMON_DEBUG"):
        raise error
    return JobMonError(f"this is a fault in jobmon ({type(error).__name__}); report it with JOBMON_DEBUG=1 set")


def _prepare_streams() -> None:
    """Streams that exist and can take any text."""
    # Where a descriptor was closed, the next socket would become standard output.
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - for as long as the program lasts
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        # A pipe in another encoding gets what it can show; nothing is lost on the way to it.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _run(words: list[str]) -> int:
    if words[:1] and words[0] in PASSED_ON:
        # Their options are theirs: ours would answer to --help and refuse what we do not know.
        parsed = argparse.Namespace(command=words[0], rest=words[1:])
    else:
        parser = build_parser(words[0] if words[:1] and words[0] in COMMANDS else "")
        try:
            parsed = parser.parse_args(words)
        except SystemExit as end:  # --help and --version
            sys.stdout.flush()
            return int(end.code or 0)
        if parsed.command is None:
            if not (sys.stdin and sys.stdin.isatty() and sys.stdout.isatty()):
                sys.stdout.write(parser.format_help())
                return answers.USAGE
            parsed = parser.parse_args([*words, "console"])
    module = importlib.import_module(f"jobmon_console.cli.{COMMANDS[parsed.command].module}")
    with _deadline(getattr(parsed, "timeout", None)):
        status: int = module.run(parsed)
    return status


@contextmanager
def _deadline(seconds: float | None) -> Iterator[None]:
    """Raise ``RanOutError`` in whatever is being waited for."""

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise RanOutError(seconds or 0.0)

    if seconds is None:
        yield
        return
    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _complain(error: JobMonError) -> int:
    try:
        sys.stdout.flush()
    except OSError:
        _discard_output()
    screen.note(" ".join(str(error).split("\n")) + _advice(error))
    return error.exit_status


def _advice(error: JobMonError) -> str:
    """What to do, where whoever said no did not say it."""
    if ";" in str(error):
        return ""
    if isinstance(error, RefusedError):
        return "; " + _ADVICE.get(error.code, _ADVICE_ELSE)
    return "; see: jobmon --help" if isinstance(error, UsageError) else f"; {_ADVICE_ELSE}"


def _discard_output() -> None:
    """Nobody reads any more: the interpreter must not complain of it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())

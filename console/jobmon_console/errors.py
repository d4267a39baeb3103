"""Everything the console's half raises on purpose, by what the caller can do.

::

    JobMonError                     exit status 1
    ├── UsageError                  2    the command or its settings are wrong
    │   ├── ContextError            2    the configuration file or a context in it
    │   └── AmbiguousJobError       2    a job is found in more than one context
    ├── CredentialFileError         7    there is no credential, or it cannot be used
    ├── CredentialRefusedError      7    one end does not take the other's certificate
    ├── UnreachableError            5    no answer from the server
    │   ├── CutOffError             5    the answer broke off; nobody knows the outcome
    │   └── HeldLineError           5    the connection holder's connection broke; asking again does no harm
    ├── RefusedError                *    the server or the agent said no; by its code
    ├── NobodyToAskError            6    the job has ended and this was not kept
    ├── RanOutError                 124  --timeout ran out
    ├── SavingError             1    a file cannot be written here
    ├── MissingExtraError           1    a part is not installed
    └── AnswerError                 1    the answer is not what the protocol says

The text of each is one line, ``what happened; what to do``, without anything
raw from a peer: text that came over the network is passed through ``safe`` by
whoever shows it.
"""

from typing import Any

from jobmon_wire import answers


class JobMonError(Exception):
    """Anything that the console's half raises on purpose."""

    exit_status = answers.FAILED


class UsageError(JobMonError):
    """The command cannot be carried out as it was given."""

    exit_status = answers.USAGE


class ContextError(UsageError):
    """The configuration file, or a context in it, cannot be used."""


class AmbiguousJobError(UsageError):
    """More than one context has this job."""

    def __init__(self, job: str, contexts: list[str]) -> None:
        super().__init__(f"{job} is a job in {' and '.join(contexts)}; choose one with --context")
        self.job = job
        self.contexts = contexts


class CredentialFileError(JobMonError):
    """There is no credential, or this one must not or cannot be used."""

    exit_status = answers.NO_CREDENTIAL


class CredentialRefusedError(JobMonError):
    """The server refuses this credential, or this end the server's certificate."""

    exit_status = answers.NO_CREDENTIAL


class UnreachableError(JobMonError):
    """The server does not answer."""

    exit_status = answers.UNREACHABLE


class CutOffError(UnreachableError):
    """The answer broke off before its end."""


class HeldLineError(UnreachableError):
    """The connection that the holder lent broke off before the whole answer had come."""


class RefusedError(JobMonError):
    """The server, or the agent beyond it, said no."""

    def __init__(self, code: str, message: str, facts: dict[str, Any] | None = None) -> None:
        super().__init__(message or code)
        self.code = code  # one of jobmon_wire.answers.PROBLEMS, or one of a newer server
        self.message = message
        self.facts = facts or {}  # what else the refusal says, such as candidates
        self.exit_status = answers.exit_status(code)


class NobodyToAskError(JobMonError):
    """The job has ended, and what is wanted was not kept."""

    exit_status = answers.NOBODY_TO_ASK


class RanOutError(JobMonError):
    """The time the user gave has run out."""

    exit_status = answers.TIMED_OUT

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no end after {seconds:g} s; give --timeout more")
        self.seconds = seconds


class SavingError(JobMonError):
    """A file cannot be written here."""


class MissingExtraError(JobMonError):
    """A part of JobMon is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} is not installed; run: pip install 'jobmon[{extra}]'")
        self.extra = extra


class AnswerError(JobMonError):
    """The answer is not what the protocol says: a server of another version, or no JobMon server."""

"""Every way a request can fail: its code, HTTP status and exit status.

One table for the server that says no and the command line that passes it on.
A refusal is ``{"error": {"code", "message", ...}}`` in JSON; a request that
had begun ends in an END frame with the same code.  Exit statuses are those of
the command line's contract.
"""

from jobmon_wire.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

DONE = 0
FAILED = 1  # the remote action failed
USAGE = 2
NO_SUCH_JOB = 3  # or not yours: the same answer
NOT_PERMITTED = 4
UNREACHABLE = 5
NOBODY_TO_ASK = 6  # the job or its agent is silent, lost or ended
NO_CREDENTIAL = 7  # missing, expired, revoked or refused
TIMED_OUT = 124
INTERRUPTED = 130


class Problem(NamedTuple):
    """One way to fail."""

    code: str
    http: int  # status of the response
    exit: int  # status of the command


_PROBLEMS = (
    Problem("bad-request", 400, USAGE),
    Problem("bad-selector", 400, USAGE),  # also: position, expected
    Problem("credential-refused", 401, NO_CREDENTIAL),  # profile, revoked, expired, wrong port
    Problem("not-permitted", 403, NOT_PERMITTED),
    Problem("no-such-job", 404, NO_SUCH_JOB),
    Problem("no-such-route", 404, FAILED),
    Problem("method-not-allowed", 405, FAILED),
    Problem("ambiguous-job", 409, USAGE),  # also: candidates
    Problem("session-taken", 409, FAILED),  # agents: another agent of this job is alive
    Problem("job-ended", 410, NOBODY_TO_ASK),
    Problem("too-large", 413, FAILED),
    Problem("not-plain", 415, FAILED),  # a Content-Encoding; none is accepted
    Problem("too-many", 429, FAILED),
    Problem("internal", 500, FAILED),
    Problem("job-silent", 503, NOBODY_TO_ASK),
    Problem("job-lost", 503, NOBODY_TO_ASK),
    Problem("draining", 503, UNREACHABLE),
    Problem("later", 503, FAILED),  # agents: many register at once; also: retry_after (s), as in the head
    Problem("timeout", 504, TIMED_OUT),
    Problem("store-full", 507, FAILED),
    Problem("busy", 409, FAILED),  # limits.REQUESTS_PER_JOB answers are under way, or a shell is open
    # These end a request at the agent; the HTTP status was 200 by then.
    Problem("no-such-file", 200, FAILED),
    Problem("not-a-file", 200, FAILED),
    Problem("outside-sandbox", 200, FAILED),
    Problem("no-stream", 200, FAILED),  # stdout or stderr is no regular file
    Problem("file-refused", 200, FAILED),  # the kernel said no: permission, I/O error
    Problem("action-failed", 200, FAILED),
    Problem("unsupported", 200, FAILED),  # the agent does not know the verb, or an argument of it
    Problem("cancelled", 200, INTERRUPTED),
    Problem("agent-gone", 200, NOBODY_TO_ASK),  # the channel broke before the end
)

PROBLEMS = {problem.code: problem for problem in _PROBLEMS}


def exit_status(code: "Optional[str]") -> int:
    """The exit status for a code; an unknown one counts as a failed action."""
    return PROBLEMS[code].exit if code in PROBLEMS else FAILED


def refusal(code: str, message: str, **facts: "Any") -> "Dict[str, Any]":
    """The body of a response that says no."""
    return {"error": dict(facts, code=code, message=message)}


def end(code: "Optional[str]" = None, message: str = "", **facts: "Any") -> "Dict[str, Any]":
    """The payload of an END frame: done, or failed with a code and a sentence."""
    if code is None:
        return dict(facts, status="done")
    return dict(facts, status="failed", code=code, message=message)

"""How the server says no: one exception, one shape of answer.

A ``RefusedError`` carries a code of ``jobmon_wire.answers`` and a public sentence;
whatever lies behind it goes to the log.  Nothing here knows who asked.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from jobmon_wire.answers import PROBLEMS, refusal
from jobmon_wire.documents import write_document


class RefusedError(Exception):
    """The request is not served; the caller gets the code and the sentence."""

    def __init__(self, code: str, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.code = code  # a key of answers.PROBLEMS
        self.facts = facts  # what the table of codes promises besides

    def response(self) -> Response:
        """The refusal as it is sent."""
        return refused(self.code, str(self), **self.facts)


# The same bytes for a job of somebody else and for no job at all: nothing of the request may stand in them.
NO_SUCH_JOB = "there is no such job among yours"


def no_such_job() -> RefusedError:
    """The one answer for absent and for foreign."""
    return RefusedError("no-such-job", NO_SUCH_JOB)


def refused(code: str, message: str, **facts: Any) -> Response:
    """A response that says no."""
    # A refusal may leave a body half read; what follows on that connection would be misread as the next request.
    headers = {"Connection": "close"} if code == "too-large" else {}
    if "retry_after" in facts:
        headers["Retry-After"] = str(facts["retry_after"])  # whole seconds
    return Response(
        write_document(refusal(code, message, **facts)),
        status_code=PROBLEMS[code].http,
        media_type="application/json",
        headers=headers,
    )

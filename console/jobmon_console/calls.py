"""The users' port, call by call: what to send for each question.

A ``Call`` is a request without a connection; ``session`` and ``client`` both
carry it.  The routes are docs/protocol.md §5; nothing here knows of TLS.
"""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from jobmon_wire import verbs

# What the answer is, so that a transport knows how long silence may last.
DOCUMENT = "document"
ROWS = "rows"
FRAMES = "frames"
BYTES = "bytes"

NEXT = "JobMon-Next"  # header of a page of rows that is not the last


_PLAIN = re.compile("[A-Za-z0-9_.-]+")  # stands in a path as it is; urllib.parse costs 4 ms


class Call(NamedTuple):
    """One request to the users' port."""

    method: str
    path: str
    query: dict[str, str]
    body: Any  # sent as JSON, or None for no body
    answer: str = DOCUMENT
    is_endless: bool = False  # silence is no failure: the answer grows as things happen

    @property
    def acts(self) -> bool:
        """It may have been done although no answer came; what only looks is asked again without harm."""
        verb = verbs.VERBS.get(self.body.get("verb", "")) if isinstance(self.body, dict) else None
        return self.method != "GET" and not (verb is not None and verb.is_repeatable)

    @property
    def target(self) -> str:
        """The path with its query, as a request line has it."""
        if not self.query:
            return self.path
        from urllib.parse import urlencode

        return f"{self.path}?{urlencode(self.query)}"


def whoami() -> Call:
    """Who the server takes this credential for, and what time it has."""
    return Call("GET", "/v1/whoami", {}, None)


def jobs(select: str = "", sort: str = "", limit: int | None = None, fields: Iterable[str] = ()) -> Call:
    """The jobs that match a selector: rows of public job records, of all pages.

    Args:
        fields: those that the records are to have; none: every field.
    """
    query = {"select": select, "sort": sort, "limit": "" if limit is None else str(limit), "fields": ",".join(fields)}
    return Call("GET", "/v1/jobs", _given(query), None, ROWS)


def next_page(call: Call, cursor: str | None, rows: int) -> Call | None:
    """What to ask after a page of so many rows; None where the list is at its end, or long enough.

    Args:
        cursor: the answer's header ``NEXT``; a server cuts a long list into pages.
    """
    query = call.query
    left = int(query["limit"]) - rows if "limit" in query else None
    if not cursor or cursor == query.get("after") or (left is not None and left <= 0):
        return None
    return call._replace(query=query | {"after": cursor} | ({} if left is None else {"limit": str(left)}))


def watch(select: str = "", sort: str = "", resume: str = "") -> Call:
    """The jobs that match, and from then on every change of them; ``jobs.Mirror`` takes the lines.

    Args:
        sort: in which order the first of them come.
        resume: ``jobs.Position`` of an earlier watch of the same selector: what has changed since then.
    """
    query = {"select": select, "sort": sort, "resume": resume}
    return Call("GET", "/v1/jobs/watch", _given(query), None, ROWS, is_endless=True)


def job(ref: str) -> Call:
    """One job: its public record with ``registration`` and ``end``."""
    return Call("GET", _job(ref), {}, None)


def query(ref: str, verb: str, arguments: dict[str, Any] | None = None) -> Call:
    """Ask a running job; the answer is frames.

    Raises:
        ArgumentError: (of ``jobmon_wire.verbs``) the verb does not take that.
    """
    checked = verbs.check_arguments(verbs.VERBS[verb], arguments or {})
    body = {"verb": verb, "arguments": {name: value for name, value in checked.items() if value is not None}}
    return Call("POST", _job(ref) + "/query", {}, body, FRAMES, is_endless=True)


def shell(ref: str, arguments: dict[str, Any] | None = None) -> Call:
    """Open a shell beside a running job: a dialogue of frames, which ``duplex`` carries.

    Raises:
        ArgumentError: (of ``jobmon_wire.verbs``) a shell does not take that.
    """
    return query(ref, "shell", arguments)._replace(path=_job(ref) + "/shell")


def output(ref: str, stream: str = "stdout") -> Call:
    """The last output kept of a job that has ended: bytes."""
    return Call("GET", _job(ref) + "/output", {"stream": stream}, None, BYTES)


def log(ref: str, follow: bool = False) -> Call:
    """What the job and JobMon reported of it, in time order: rows."""
    return Call("GET", _job(ref) + "/log", {"follow": "1"} if follow else {}, None, ROWS, is_endless=follow)


def audit(ref: str = "", limit: int | None = None) -> Call:
    """Who did what to the caller's jobs, newest last: rows."""
    return Call("GET", "/v1/audit", _given({"job": ref, "limit": "" if limit is None else str(limit)}), None, ROWS)


def credentials(requests: list[tuple[str, str]], lifetime: float | None = None) -> Call:
    """Job certificates for pairs of job id and certificate request (PEM)."""
    body: dict[str, Any] = {"jobs": [{"id": job_id, "request": pem} for job_id, pem in requests]}
    if lifetime is not None:
        body["lifetime"] = lifetime
    return Call("POST", "/v1/credentials", {}, body)


def _job(ref: str) -> str:
    if _PLAIN.fullmatch(ref):
        return "/v1/jobs/" + ref
    from urllib.parse import quote

    return "/v1/jobs/" + quote(ref, safe="")


def _given(query: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in query.items() if value}

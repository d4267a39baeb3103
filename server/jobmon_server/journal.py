"""The journal: what the server has to say to its operator, one JSON object a line on stderr.

JSON escapes every control character, so a name or a message made by a peer
cannot forge a line or drive a terminal.  Every module logs by ``logging`` with
a fixed sentence; facts go into ``extra={"facts": {...}}``.  No secrets, no
bodies, no line per request.
"""

from __future__ import annotations

import json
import logging
import sys

from jobmon_wire.moments import write_moment

LONGEST = 4096  # characters of one value


class JournalFormatter(logging.Formatter):
    """One record as one line of ASCII JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, object] = {
            "at": write_moment(record.created),
            "level": record.levelname.lower(),
            "part": record.name,
            "text": record.getMessage()[:LONGEST],
        }
        facts = getattr(record, "facts", None)
        if isinstance(facts, dict):
            line.update({key: _short(value) for key, value in facts.items() if key not in line})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)[-LONGEST:]
        return json.dumps(line, default=str)


def open_journal(level: str) -> None:
    """Send everything that is logged to stderr, from this level on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JournalFormatter())
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    # uvicorn tells of each bad request and asyncio of each broken handshake: a scanner would write our log.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    logging.getLogger("asyncio").setLevel(logging.ERROR)


def _short(value: object) -> object:
    return value if isinstance(value, int | float | bool) or value is None else str(value)[:LONGEST]

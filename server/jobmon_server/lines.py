"""JSON as it leaves the server: documents and lines of NDJSON.

Text from a job may hold lone surrogates, since names of files are bytes.  The
fast encoder refuses them, so such a value, and only such a one, takes the slow
way and leaves with ``\\udcXX`` escapes as the protocol has it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from jobmon_wire.documents import write_document

NDJSON = "application/x-ndjson"

_encoder = msgspec.json.Encoder()


def document(value: Any) -> bytes:
    """One JSON value."""
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        return write_document(msgspec.to_builtins(value))


def lines(values: list[Any]) -> bytes:
    """Values as NDJSON, one a line."""
    try:
        return _encoder.encode_lines(values)
    except UnicodeEncodeError:
        return b"".join(document(value) + b"\n" for value in values)

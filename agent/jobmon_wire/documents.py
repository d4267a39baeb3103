"""Strict JSON, and the typed reading of what it holds.

A document comes from a peer that may be hostile, so the reader refuses what
readers elsewhere take differently: repeated keys, NaN, integers that a double
cannot hold, deep nesting.  Text may hold lone surrogates: file names are bytes,
and ``os.fsdecode`` carries the odd ones through JSON and back.
"""

import json

from jobmon_wire import limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple, Union


class DocumentError(ValueError):
    """The document is not what the protocol says; the text tells which part."""


def write_document(value: "Any") -> bytes:
    """Encode as compact ASCII JSON."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")


def read_document(data: bytes) -> "Any":
    """Decode one JSON value from a peer.

    Raises:
        DocumentError: not JSON, or outside the limits of ``limits``.
    """
    if len(data) > limits.DOCUMENT_BYTES:
        raise DocumentError("document of %d bytes, at most %d" % (len(data), limits.DOCUMENT_BYTES))
    try:
        value = _decoder.decode(data.decode("utf-8"))
    except DocumentError:
        raise
    except RecursionError:
        raise DocumentError("nested deeper than %d levels" % limits.DOCUMENT_DEPTH)
    except ValueError as error:
        raise DocumentError("not JSON: %s" % type(error).__name__)
    _check_depth(value)
    return value


def read_object(data: bytes) -> "Dict[str, Any]":
    """Decode one JSON object."""
    value = read_document(data)
    if not isinstance(value, dict):
        raise DocumentError("an object was expected")
    return value


def text(document: "Dict[str, Any]", key: str, default: "Optional[str]" = None, longest: int = limits.TEXT) -> str:
    """The text at a key; without a default it must be there."""
    value = document.get(key, default)
    if not isinstance(value, str):
        raise DocumentError("%s: text was expected" % key)
    if len(value) > longest:
        raise DocumentError("%s: %d characters, at most %d" % (key, len(value), longest))
    return value


def number(document: "Dict[str, Any]", key: str, default: "Optional[float]" = None) -> float:
    """The finite number at a key; without a default it must be there."""
    value = document.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value - value != 0:
        raise DocumentError("%s: a number was expected" % key)
    return value


def integer(document: "Dict[str, Any]", key: str, default: "Optional[int]" = None) -> int:
    """The integer at a key; without a default it must be there."""
    value = document.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise DocumentError("%s: an integer was expected" % key)
    return value


def optional_number(document: "Dict[str, Any]", key: str) -> "Optional[float]":
    """The number at a key, or None where it is absent or null."""
    return None if document.get(key) is None else number(document, key)


def optional_integer(document: "Dict[str, Any]", key: str) -> "Optional[int]":
    """The integer at a key, or None where it is absent or null."""
    return None if document.get(key) is None else integer(document, key)


def labels(document: "Dict[str, Any]", key: str) -> "Dict[str, str]":
    """An object of short texts, such as what a batch system says of a job."""
    value = document.get(key, {})
    if not isinstance(value, dict) or len(value) > limits.BATCH_LABELS:
        raise DocumentError("%s: an object of at most %d texts was expected" % (key, limits.BATCH_LABELS))
    for name, label in value.items():
        if not isinstance(label, str) or len(label) > limits.TEXT or len(name) > limits.LABEL:
            raise DocumentError("%s: short names and texts were expected" % key)
    return value


def _pairs(pairs: "List[Tuple[str, Any]]") -> "Dict[str, Any]":
    found = dict(pairs)
    if len(found) != len(pairs):
        raise DocumentError("a key stands twice in one object")
    if len(found) > limits.DOCUMENT_KEYS:
        raise DocumentError("an object of %d keys, at most %d" % (len(found), limits.DOCUMENT_KEYS))
    return found


def _integer(digits: str) -> int:
    # int() is quadratic in the digits: refuse a long one before converting it.
    if len(digits) > 17 or abs(int(digits)) > limits.INTEGER:
        raise DocumentError("an integer beyond 2**53")
    return int(digits)


def _constant(name: str) -> None:
    raise DocumentError("%s is not JSON" % name)


# Made once: to make one takes as long as to read a short document.
_decoder = json.JSONDecoder(object_pairs_hook=_pairs, parse_int=_integer, parse_constant=_constant)


def _check_depth(value: "Union[Dict[str, Any], List[Any], Any]", depth: int = 1) -> None:
    if depth > limits.DOCUMENT_DEPTH:
        raise DocumentError("nested deeper than %d levels" % limits.DOCUMENT_DEPTH)
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            if isinstance(item, (dict, list)):
                _check_depth(item, depth + 1)

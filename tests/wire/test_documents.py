"""A document from a peer is read strictly, or refused with the reason."""

import contextlib
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon_wire import documents, limits
from jobmon_wire.documents import DocumentError, read_document, write_document

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-limits.INTEGER, limits.INTEGER) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_what_is_written_is_read_back(value: object) -> None:
    assert read_document(write_document(value)) == value


@pytest.mark.parametrize(
    ("noise", "reason"),
    [
        (b'{"a":1,"a":2}', "twice"),
        (b"NaN", "not JSON"),
        (b"[Infinity]", "not JSON"),
        (b"9007199254740993", "2\\*\\*53"),
        (b"1" * 5000, "2\\*\\*53"),
        (b"[" * 17 + b"]" * 17, "deeper"),
        (b"[" * 100000, "deeper|not JSON"),
        (b"\xff", "not JSON"),
        (b"", "not JSON"),
        (b"{} {}", "not JSON"),
        (b" " * (limits.DOCUMENT_BYTES + 1), "at most"),
        (json.dumps({str(n): n for n in range(limits.DOCUMENT_KEYS + 1)}).encode(), "keys"),
    ],
    ids=str,
)
def test_a_hostile_document_is_refused_with_its_reason(noise: bytes, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason):
        read_document(noise)


def test_a_stock_reader_takes_what_ours_refuses() -> None:
    assert json.loads('{"a":1,"a":2}') == {"a": 2}
    assert json.loads("9007199254740993") > limits.INTEGER


@given(st.binary(max_size=300))
def test_arbitrary_bytes_give_a_value_or_a_document_error(noise: bytes) -> None:
    with contextlib.suppress(DocumentError):
        read_document(noise)


def test_the_name_of_a_file_that_is_not_utf8_survives_the_way() -> None:
    name = b"run\xff\xfe.log".decode(sys.getfilesystemencoding(), "surrogateescape")

    assert read_document(write_document({"name": name})) == {"name": name}


@pytest.mark.parametrize("value", [True, "7", None, [], float("inf"), float("nan")], ids=repr)
def test_only_a_finite_number_is_a_number(value: object) -> None:
    with pytest.raises(DocumentError, match="pid: a number"):
        documents.number({"pid": value}, "pid")


def test_a_text_is_bounded_and_required() -> None:
    with pytest.raises(DocumentError, match="4097 characters"):
        documents.text({"cwd": "x" * 4097}, "cwd")
    with pytest.raises(DocumentError, match="cwd: text"):
        documents.text({}, "cwd")
    assert documents.text({}, "cwd", "/") == "/"


def test_labels_are_few_and_short() -> None:
    assert documents.labels({"batch": {"system": "slurm"}}, "batch") == {"system": "slurm"}
    for hostile in ({str(n): "" for n in range(33)}, {"x" * 65: ""}, {"a": 1}, ["a"]):
        with pytest.raises(DocumentError):
            documents.labels({"batch": hostile}, "batch")

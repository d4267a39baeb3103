"""What agent and server say of a job survives the way, and nothing malformed gets in."""

from typing import Any

import pytest

from jobmon_wire import limits
from jobmon_wire.documents import DocumentError, read_object, write_document
from jobmon_wire.records import Configuration, EndReport, Exit, Registration, Vitals

REGISTRATION = Registration(
    epoch=1795392000000,
    agent="0.1.0",
    python="3.6.15",
    mode="exec",
    pid=4711,
    started=1795392000.5,
    command="python3 train.py",
    name="train",
    cwd="/scratch/8812",
    user="alice",
    node="wn042",
    cpus=64,
    memory=2**38,
    kernel="6.18.0",
    batch={"system": "slurm", "id": "8812"},
    tags={},
    stdout="file",
    stderr="pipe",
)
END = EndReport(
    epoch=1795392000000,
    ended=1795392001.0,
    exit=Exit(None, "TERM", False, "pidfd"),
    stdout=b"\x00\xff last words",
    stderr=b"",
    stdout_bytes=13,
    stderr_bytes=None,
    peak_rss=2**20,
    cpu_seconds=0.5,
    survivors=0,
)


@pytest.mark.parametrize("record", [REGISTRATION, END, Configuration(10.0), Vitals(1.0, None, 5, 1, None, None)])
def test_a_record_is_read_as_it_was_written(record: Any) -> None:
    assert type(record).read(read_object(write_document(record.document()))) == record


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pid", "4711"),
        ("pid", True),
        ("mode", "sudo"),
        ("batch", {"x": 1}),
        ("command", "x" * (limits.TEXT + 1)),
        ("node", None),
        ("started", "now"),
        ("stdout", "tape"),
    ],
)
def test_a_malformed_registration_is_refused_by_field(field: str, value: object) -> None:
    with pytest.raises(DocumentError, match=field):
        Registration.read(dict(REGISTRATION.document(), **{field: value}))


def test_a_newer_peer_may_say_more() -> None:
    assert Registration.read(dict(REGISTRATION.document(), gpu="two")) == REGISTRATION


@pytest.mark.parametrize(
    "change",
    [
        {"exit": None},
        {"exit": {"code": 1, "signal": "TERM", "source": "pidfd"}},
        {"exit": {"code": 0, "source": "guess"}},
        {"stdout": "%%%"},
        {"stdout": "A" * (2 * limits.LAST_WORDS + 4)},
        {"survivors": 1.5},
    ],
)
def test_a_malformed_end_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(DocumentError):
        EndReport.read(dict(END.document(), **change))


def test_the_last_words_fit_into_one_document() -> None:
    words = bytes(range(256)) * (limits.LAST_WORDS // 256)
    report = END._replace(stdout=words, stderr=words)

    assert EndReport.read(read_object(write_document(report.document()))) == report

"""Labels come out as they went in, whoever else's went in before; the sets of names that are kept are few."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon_server import labels
from tests.server.house import a_job

TEXTS = st.text('a"\\\n\0é\udc80', max_size=3)
SLURM = {"system": "slurm", "job": "1", "task": "7"}


@pytest.fixture(autouse=True)
def no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """No set of names is known."""
    monkeypatch.setattr(labels, "_numbers", {})
    monkeypatch.setattr(labels, "_names", [])


@given(st.lists(st.dictionaries(TEXTS, TEXTS, max_size=3), max_size=8))
def test_labels_come_out_as_they_went_in(all_of_them: list[dict[str, str]]) -> None:
    packed = [labels.pack(each) for each in all_of_them]

    assert [labels.unpack(each) for each in packed] == all_of_them
    assert [list(labels.unpack(each)) for each in packed] == [list(each) for each in all_of_them]


def test_jobs_with_the_same_names_of_labels_keep_these_once() -> None:
    job, other = a_job("u-1"), a_job("u-2")
    job.tell("", "", SLURM, {})
    other.tell("", "", SLURM | {"task": "8"}, {})

    assert (job.batch, other.batch) == (SLURM, SLURM | {"task": "8"})
    assert not any(name.encode() in other.packed for name in ("system", "job", "task"))


def test_who_invents_names_for_each_job_fills_no_memory_and_finds_them_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "SETS", 3)
    invented = [{f"name-{number}": "value"} for number in range(20)]

    packed = [labels.pack(each) for each in [SLURM, *invented, SLURM]]

    assert [labels.unpack(each) for each in packed] == [SLURM, *invented, SLURM]
    assert len(labels._names) == len(labels._numbers) == 3
    assert packed[0] == packed[-1]  # the first ones keep their numbers

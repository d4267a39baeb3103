"""Indexes hold, after whatever came and went, what a look at every job would find."""

from hypothesis import given
from hypothesis import strategies as st

from jobmon_server.indexes import Deadlines, Groups, Sorted

SLOTS = st.integers(0, 12)


@given(st.lists(st.tuples(SLOTS, st.sampled_from(["a", "b", "c", None]))))
def test_groups_hold_each_slot_at_its_last_value_alone(steps: list[tuple[int, str | None]]) -> None:
    groups: Groups[str] = Groups()
    naive: dict[int, str] = {}
    for slot, value in steps:
        if value is not None:
            groups.put(slot, value)
            naive[slot] = value
        elif slot in naive:
            groups.take(slot)
            del naive[slot]

    assert set(groups) == set(naive.values())
    for value in ("a", "b", "c"):
        members = [slot for slot, each in naive.items() if each == value]
        assert sorted(groups.of(value)) == sorted(members)
        assert groups.count(value) == len(members)
    assert all(groups.value(slot) == value for slot, value in naive.items())


@given(st.lists(st.text("ab", max_size=4), max_size=20), st.sets(st.integers(0, 19)), st.text("ab", max_size=3))
def test_sorted_slots_are_found_by_the_beginning_of_their_text(texts: list[str], taken: set[int], prefix: str) -> None:
    some, others = range(0, len(texts), 2), range(1, len(texts), 2)
    found = Sorted[str](texts.__getitem__)
    found.fill(sorted(some, key=texts.__getitem__))
    for slot in others:
        found.put(slot)
    for slot in taken & set(range(len(texts))):
        found.take(slot)

    left = [slot for slot, text in enumerate(texts) if slot not in taken and text.startswith(prefix)]
    assert sorted(found.beginning(prefix)) == left
    assert [texts[slot] for slot in found.beginning("")] == sorted(
        text for slot, text in enumerate(texts) if slot not in taken
    )


@given(st.lists(st.tuples(SLOTS, st.floats(0, 50), st.sampled_from(["put", "take", "look"]))))
def test_deadlines_name_each_slot_once_and_at_its_last_moment(steps: list[tuple[int, float, str]]) -> None:
    deadlines = Deadlines()
    naive: dict[int, float] = {}
    now = 0.0
    for slot, moment, what in steps:
        if what == "put":
            deadlines.put(slot, moment)
            naive[slot] = moment
        elif what == "take":
            deadlines.take(slot)
            naive.pop(slot, None)
        else:
            now += moment / 5
            due = {slot for slot, moment in naive.items() if int(moment) <= now}
            found = deadlines.due(now, 3)
            assert len(found) == len(set(found)) == min(len(due), 3)
            assert set(found) <= due
            naive = {slot: moment for slot, moment in naive.items() if slot not in found}

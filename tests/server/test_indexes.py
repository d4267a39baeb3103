"""Indexes hold, after whatever came and went, what a look at every job would find."""

import random

from hypothesis import given
from hypothesis import strategies as st

from jobmon_server.indexes import Deadlines, Groups, Randoms, Sorted

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


def test_groups_forget_values_that_nobody_has_any_more() -> None:
    groups: Groups[str] = Groups()
    for number in range(1000):
        groups.put(0, f"node-{number}")
        groups.put(1, "same")
    groups.take(0)

    assert list(groups) == ["same"]
    assert len(groups._values) == len(groups._members) <= 3


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


ALIKE = [place + (high << 56) for high in (0, 1, 2, 255) for place in (0, 1, 2, 3, 61, 62, 63, 125, 126, 127)]


class Rash(Randoms):
    """One that only frees the place of what it forgets."""

    def take(self, slot: int) -> None:
        """As told."""
        self._places[self._places.index(slot)] = 0
        self._count -= 1


def differs(index: Randoms, numbers: list[int]) -> bool:
    """Whether it ever knows other slots than a dict, while numbers that share their places come and go."""
    model: dict[int, int] = {}
    free = list(range(len(set(numbers)), 0, -1))
    for number in numbers:
        if number in model:
            index.take(model[number])
            free.append(model.pop(number))
        else:
            model[number] = free.pop()
            index.put(model[number], number)
        found = {each: index.find(each) for each in ALIKE}
        if len(index) != len(model) or found != {each: model.get(each, 0) for each in ALIKE}:
            return True
    return False


@given(st.lists(st.sampled_from(ALIKE), max_size=120))
def test_random_numbers_lead_to_their_slots_whatever_comes_and_goes(numbers: list[int]) -> None:
    assert not differs(Randoms(), numbers)


def test_who_only_frees_a_place_loses_what_stands_behind_it() -> None:
    assert differs(Rash(), [0, 1 << 56, 0])


def test_many_random_numbers_are_found_and_others_are_not() -> None:
    draw, index = random.Random(7), Randoms()
    numbers = [draw.getrandbits(64) for _ in range(5000)]
    for slot, number in enumerate(numbers, 1):
        index.put(slot, number)

    assert [index.find(number) for number in numbers] == list(range(1, 5001))
    assert not any(index.find(draw.getrandbits(64)) for _ in range(5000))

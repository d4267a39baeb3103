"""Indexes over jobs by their slots: small whole numbers, 4 bytes each.

``Groups`` knows which jobs have which value, ``Sorted`` finds jobs by the start
of a text, ``Deadlines`` which are due, ``Randoms`` by a random number.  None of
them knows what a job is.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
S = TypeVar("S", str, bytes)

NOWHERE = 2**32 - 1  # no slot, no place, no second
FEWEST = 64  # places at first; a power of two


class Groups(Generic[K]):
    """Slots by the value they have."""

    def __init__(self) -> None:
        self._numbers: dict[K, int] = {}
        self._values: list[K | None] = []  # by number
        self._members: list[array[int]] = []  # by number
        self._free: list[int] = []  # numbers of no value
        self._places = array("I")  # by slot: where it stands among the members
        self._had = array("I")  # by slot: the number of its value

    def __iter__(self) -> Iterator[K]:
        return iter(self._numbers)

    def of(self, value: K) -> array[int]:
        """The slots that have this value; not to be changed, nor kept over a change."""
        number = self._numbers.get(value)
        return array("I") if number is None else self._members[number]

    def count(self, value: K) -> int:
        """How many have it."""
        return len(self.of(value))

    def value(self, slot: int) -> K | None:
        """What the slot has."""
        number = self._had[slot]
        return None if number == NOWHERE else self._values[number]

    def put(self, slot: int, value: K) -> None:
        """The slot has this value now, and no other."""
        while len(self._had) <= slot:
            self._had.append(NOWHERE)
            self._places.append(NOWHERE)
        self.take(slot)
        number = self._numbers.get(value)
        if number is None:
            number = self._number(value)
        members = self._members[number]
        self._had[slot], self._places[slot] = number, len(members)
        members.append(slot)

    def take(self, slot: int) -> None:
        """The slot has no value any more."""
        number = self._had[slot]
        if number == NOWHERE:
            return
        members = self._members[number]
        last = members.pop()
        if last != slot:  # the last one takes the place that is free
            members[self._places[slot]] = last
            self._places[last] = self._places[slot]
        if not members:
            del self._numbers[self._values[number]]  # type: ignore[arg-type]
            self._values[number] = None
            self._free.append(number)
        self._had[slot] = NOWHERE

    def _number(self, value: K) -> int:
        """A number for a value that has none."""
        if not self._free:
            self._free.append(len(self._values))
            self._values.append(None)
            self._members.append(array("I"))
        number = self._numbers[value] = self._free.pop()
        self._values[number] = value
        return number


class Sorted(Generic[S]):
    """Slots in the order of a text.

    Args:
        text: of a slot, never changing.
    """

    def __init__(self, text: Callable[[int], S]) -> None:
        self._text: Callable[[int], S] = text
        self._slots = array("I")

    def put(self, slot: int) -> None:
        """Take in a slot."""
        insort(self._slots, slot, key=self._text)

    def fill(self, slots: Iterable[int]) -> None:
        """Take in many slots, in their order, where there were none."""
        self._slots = array("I", slots)

    def take(self, slot: int) -> None:
        """Forget a slot."""
        first = bisect_left(self._slots, self._text(slot), key=self._text)
        del self._slots[self._slots.index(slot, first)]

    def beginning(self, prefix: S) -> array[int]:
        """The slots whose text begins so."""
        first = bisect_left(self._slots, prefix, key=self._text)
        length = len(prefix)
        last = bisect_right(self._slots, prefix, lo=first, key=lambda slot: self._text(slot)[:length])
        return self._slots[first:last]


class Deadlines:
    """When each slot is to be looked at next, to the second."""

    def __init__(self) -> None:
        self._due: dict[int, array[int]] = {}  # by second
        self._seconds = array("I")  # by slot: where it stands; an entry elsewhere is void

    def put(self, slot: int, moment: float) -> None:
        """Look at it then; an earlier word is void."""
        while len(self._seconds) <= slot:
            self._seconds.append(NOWHERE)
        second = min(max(int(moment), 0), NOWHERE - 1)
        if self._seconds[slot] != second:
            self._seconds[slot] = second
            self._due.setdefault(second, array("I")).append(slot)

    def take(self, slot: int) -> None:
        """Look at it no more."""
        if slot < len(self._seconds):
            self._seconds[slot] = NOWHERE

    def due(self, now: float, most: int) -> list[int]:
        """At most so many slots that are due, each once; they are to be put again."""
        found: list[int] = []
        for second in sorted(second for second in self._due if second <= now):
            slots = self._due[second]
            while slots and len(found) < most:
                slot = slots.pop()
                if self._seconds[slot] == second:
                    self._seconds[slot] = NOWHERE
                    found.append(slot)
            if not slots:
                del self._due[second]
        return found


class Randoms:
    """Slots from 1 on by a random number that nobody can choose: 18 bytes each, where a dict takes 120.

    The numbers are their own hashes.  Who asks for many that are not there finds
    a free place after one or two looks, as half of the places are free.

    Args:
        code: of the numbers, as ``array`` has it; in 32 bits some slots have the same one.
    """

    def __init__(self, code: str = "Q") -> None:
        self._places = array("I", bytes(4 * FEWEST))  # slots; 0: free
        self._numbers = array(code, [0])  # by slot
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def number(self, slot: int) -> int:
        """The slot's number."""
        return self._numbers[slot]

    def find(self, number: int) -> int:
        """The slot with this number; 0: there is none."""
        places, numbers = self._places, self._numbers
        last = len(places) - 1
        place = number & last
        while slot := places[place]:
            if numbers[slot] == number:
                return slot
            place = place + 1 & last
        return 0

    def put(self, slot: int, number: int) -> None:
        """The slot, which had no number, has this one."""
        self._numbers.extend([0] * (slot + 1 - len(self._numbers)))
        self._numbers[slot] = number
        self._count += 1
        if 2 * self._count > len(self._places):
            slots = [each for each in self._places if each]
            self._places = array("I", bytes(8 * len(self._places)))
            for each in slots:
                self._settle(each)
        self._settle(slot)

    def take(self, slot: int) -> None:
        """Forget the slot."""
        places, last = self._places, len(self._places) - 1
        free = self._numbers[slot] & last
        while places[free] != slot:
            free = free + 1 & last
        place = free
        while after := places[place := place + 1 & last]:
            # It may go to the free place unless it would then stand before its own.
            if (place - self._numbers[after]) & last >= (place - free) & last:
                places[free], free = after, place
        places[free] = 0
        self._count -= 1

    def _settle(self, slot: int) -> None:
        last = len(self._places) - 1
        place = self._numbers[slot] & last
        while self._places[place]:
            place = place + 1 & last
        self._places[place] = slot

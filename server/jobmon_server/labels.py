"""Labels: what a batch system and an owner call a job, packed without their names.

A site's jobs have the same few sets of names, as a batch system sets the same
variables for each.  Such a set is kept once and has a number, as long as it is
one of the first that turn up; labels with other names are kept whole.
"""

from __future__ import annotations

Labels = dict[str, str]
Packed = Labels | list[int | str]  # whole; or the number of their names, and then the values

SETS = 256  # that have a number; who invents names for each job makes others' jobs no larger than they were

_numbers: dict[tuple[str, ...], int] = {}
_names: list[tuple[str, ...]] = []


def pack(labels: Labels) -> Packed:
    """The labels in fewer bytes; in this process alone they mean anything."""
    names = tuple(labels)
    number = _numbers.get(names)
    if number is None:
        if len(_names) >= SETS:
            return labels
        number = _numbers[names] = len(_names)
        _names.append(names)
    return [number, *labels.values()]


def unpack(packed: Packed) -> Labels:
    """The labels that were packed."""
    if isinstance(packed, dict):
        return packed
    # Not strict, which takes as long as all the rest: ``pack`` wrote a value for each name.
    return dict(zip(_names[packed[0]], packed[1:], strict=False))  # type: ignore[index, arg-type]

"""Texts: the public records of jobs as JSON, kept until a job changes.

What all watches tell is written once, and a list that is read again is a copy.
Of lists with a few fields alone the texts of the last fields asked for are
kept: whoever asks again and again asks for the same ones.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from jobmon_server.jobs import Job
from jobmon_server.lines import document, lines
from jobmon_server.public import chosen, public

TEXTS = 10_000  # kept of whole records, 8 MB, and as many of a few fields, 2 MB

_Kept = OrderedDict[int, bytes]  # by the job's ``id``, which is found without a look at the job


class Texts:
    """What is sent of each job.

    Args:
        holds: whether a job is one that will be dropped here when it changes or goes.

    Attributes:
        kept: texts by ``id`` of the job; whoever changes a job takes it out of each.
    """

    def __init__(self, holds: Callable[[Job], bool]) -> None:
        self._holds = holds
        self._fields: tuple[str, ...] = ()
        self.kept: tuple[_Kept, _Kept] = (OrderedDict(), OrderedDict())  # of whole records, of ``_fields``

    def drop(self, job: Job) -> None:
        """It has changed, or is about to go."""
        for kept in self.kept:
            kept.pop(id(job), None)

    def of(self, jobs: Sequence[Job], fields: tuple[str, ...] = ()) -> list[bytes]:
        """The records of the jobs, each an object of JSON on one line.

        Args:
            fields: names of public fields, in the order they are to have; none: every field.
        """
        whole, brief = self.kept
        if fields and fields != self._fields:
            brief.clear()
            self._fields = fields
        kept = brief if fields else whole
        texts: list[Any] = list(map(kept.get, map(id, jobs)))
        if all(texts):
            return texts
        missing = [at for at, text in enumerate(texts) if text is None]
        for at, text in zip(missing, _write([jobs[at] for at in missing], fields), strict=True):
            texts[at] = text
            if self._holds(jobs[at]):
                kept[id(jobs[at])] = text
        while len(kept) > TEXTS:
            kept.popitem(last=False)
        return texts


def _write(jobs: list[Job], fields: tuple[str, ...]) -> list[bytes]:
    if fields:
        return lines(chosen(jobs, fields)).split(b"\n")[:-1]
    return [document(public(job)) for job in jobs]

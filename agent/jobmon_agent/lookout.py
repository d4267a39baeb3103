"""The lookout: sleeps until there may be something new in a file that is followed.

It waits for the kernel's word on the file and on its directory, for the end of
the job, and, since the word may not come, for a moment to look anyway.  A
watch on the file is good for one event: a job that writes a million times a
second pays for twenty events a second and not for a million.
"""

import os
import select
import time

from jobmon_agent import inotify, sandbox
from jobmon_agent.inotify import open_inotify
from jobmon_agent.job import POLL as JOB_POLL
from jobmon_agent.job import Job, VerbFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Set

SAFETY = 1.0  # s between looks when nothing is told: writes by way of memory or another node are not
POLL = 0.25  # s between looks where nothing can be told
SPACING = 0.05  # s from one look to the next; a flood is read in pieces that are worth a read
LIGHT_SPACING = 0.01  # s, where there was little: a person's program writes some lines a second, and is seen at once
LITTLE = 16 * 1024  # bytes
BURST = 4  # looks that may come at once after a quiet time: many programs write a line and its end apart

_DIRECTORY = inotify.CREATE | inotify.MOVED_TO | inotify.MOVED_FROM | inotify.DELETE | inotify.ONLY_DIRECTORY


class Lookout:
    """Waits for one follow.

    Args:
        job: the job.
        name: path of the file; None: it has none that matters, as a stream.
    """

    def __init__(self, job: Job, name: "Optional[str]") -> None:
        self._job = job
        self._inotify = open_inotify()
        self._files: "Set[int]" = set()  # watches
        self._armed: "List[int]" = []  # descriptors
        self._directory = -1  # watch
        self._directory_at = -SAFETY  # s, when it was set
        parent, _, leaf = (name or "").rpartition("/")
        self._parent = None if name is None else parent or ("/" if name.startswith("/") else ".")
        self._leaf = leaf.encode("utf-8", "surrogateescape")
        self._rested = 0.0  # s, when all words that came are paid for with so much rest
        self._woken = 0.0  # s, when the last word came that is not paid for; 0: it is
        self._is_due = False  # something was told since the files were armed
        self.has_lost = False  # events were lost since the last ``arrivals``
        self._arrivals = 0

    @property
    def is_told(self) -> bool:
        """The kernel tells of what happens."""
        return self._inotify is not None and (self._parent is None or self._directory >= 0)

    def close(self) -> None:
        """Stop watching."""
        if self._inotify is not None:
            self._inotify.close()

    def arm(self, descriptors: "List[int]") -> None:
        """Watch these files, and no others; who has looked before looks again, as nothing may fall between the two."""
        was_told, self._is_due = self._is_due, False
        if self._inotify is None:
            return
        now = time.monotonic()
        if self._parent is not None and now - self._directory_at >= SAFETY:
            self._directory_at = now
            self._watch_directory(self._inotify, self._parent)
        if descriptors == self._armed and not was_told:
            return  # nothing has used the watches up
        watched = set()
        for descriptor in descriptors:
            try:
                watched.add(self._inotify.watch(descriptor, inotify.MODIFY | inotify.ONE_SHOT))
            except OSError:
                self._give_up()
                return
        for stale in self._files - watched:
            self._inotify.forget(stale)
        self._files, self._armed = watched, descriptors

    def note(self) -> None:
        """There is something new that no event tells of."""
        self._is_due = True

    def disarm(self) -> None:
        """The descriptors mean other files from now on."""
        self._armed = []

    def wait(self, found: int) -> bool:
        """Sleep until a look is worth it; whether the job is over.

        Args:
            found: bytes that were new at the last look.
        """
        if self._woken:
            spacing = LIGHT_SPACING if found < LITTLE else SPACING
            self._rested, self._woken = max(self._rested, self._woken) + spacing, 0.0
        rest = self._rested - BURST * SPACING - time.monotonic()
        if rest > 0 and self._job.wait_over(rest):
            return True
        self._take_events()
        ready = None if self._is_due else self._sleep()
        if ready is None or ready:
            self._woken = time.monotonic()
            self._take_events()
        if ready is None or self._job.pidfd is None:
            return self._job.is_over()
        return self._job.pidfd in ready

    def _sleep(self) -> "List[int]":
        """Wait for a word; the descriptors that one came from."""
        waiting = select.poll()
        if self._inotify is not None:
            waiting.register(self._inotify.descriptor, select.POLLIN)
        if self._job.pidfd is not None:
            waiting.register(self._job.pidfd, select.POLLIN)
        return [descriptor for descriptor, _ in waiting.poll(self._patience() * 1000)]

    def arrivals(self) -> int:
        """How many files came to the name since this was asked last, as far as it was told."""
        self._take_events()
        found, self._arrivals = self._arrivals, 0
        return found

    def _patience(self) -> float:
        patience = SAFETY if self.is_told else POLL
        return patience if self._job.pidfd is not None else min(patience, JOB_POLL)

    def _watch_directory(self, queue: inotify.Inotify, parent: str) -> None:
        try:
            found = sandbox.locate(self._job, parent)
        except VerbFailure:  # not there yet
            self._directory = -1
            return
        try:
            watch = queue.watch(found, _DIRECTORY)
        except OSError:
            watch = -1
        finally:
            os.close(found)
        if self._directory >= 0 and self._directory != watch:
            queue.forget(self._directory)
        self._directory = watch

    def _take_events(self) -> None:
        if self._inotify is None:
            return
        for watch, mask, name in self._inotify.read():
            if watch == self._directory and name != self._leaf:
                continue  # of another file there
            # The kernel tells of a change before it ends the watch for it: one that was renewed between ends, too.
            self._is_due |= not mask & inotify.IGNORED or watch in self._files
            self.has_lost |= bool(mask & inotify.OVERFLOW)
            self._arrivals += bool(mask & (inotify.CREATE | inotify.MOVED_TO))

    def _give_up(self) -> None:
        self.close()
        self._inotify, self._directory = None, -1

"""Shells: those that are open, and whether the site still allows them.

That there is one a job at most is the channel's affair; here is what happens to
those that are open when the operator thinks otherwise.
"""

from __future__ import annotations

from typing import NamedTuple

from jobmon_server.answers import Answer
from jobmon_server.channel import Channel
from jobmon_server.jobs import Job
from jobmon_server.peer import Peer
from jobmon_server.policy import denial, permits
from jobmon_wire.verbs import EXEC


class Shell(NamedTuple):
    """One open shell."""

    peer: Peer
    job: Job
    channel: Channel
    answer: Answer


class Shells:
    """The open shells of this server."""

    def __init__(self) -> None:
        self._open: list[Shell] = []

    def __len__(self) -> int:
        return len(self._open)

    def enter(self, shell: Shell) -> None:
        """One opens."""
        self._open.append(shell)

    def leave(self, shell: Shell) -> None:
        """One has ended."""
        self._open.remove(shell)

    def review(self, shells: str) -> None:
        """End those that the site allows no more."""
        for peer, job, channel, answer in self._open:
            if not permits(peer, EXEC, job.owner_rdns, job.cluster, shells):
                channel.cancel(answer, "not-permitted", denial(EXEC, shells))

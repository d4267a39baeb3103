"""Realms: whose a job is, an owner at a cluster.

All that ``policy`` asks of a job is its realm, so what a peer may do is decided
once for all jobs of one.  A realm is made once and shared; two jobs are of the
same realm if they hold the same one.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from jobmon_pki.names import Name, display


class Realm(msgspec.Struct, eq=False, gc=False):
    """An owner at a cluster; made by ``realm_of``."""

    owner_rdns: Name  # stored at issue; authority is equality with this
    cluster: str
    owner: str  # the person's common name, for people
    owner_name: str  # the whole name, for people

    def get(self, field: str) -> Any:
        """A field of the public record that all its jobs have in common."""
        return getattr(self, field, None)


@cache  # never more than the site has issued credentials for
def realm_of(owner: Name, cluster: str) -> Realm:
    """The realm of an owner's jobs at a cluster."""
    return Realm(owner, cluster, owner[-1][1], display(owner))

"""Revocation: what the ledger says of certificates that must not be used any more.

The ledger is shared with the ``jobmon pki`` command, which writes to it while
the server runs.  A look at its change counter once a second is all that an
unchanged ledger costs; after a change the list is read whole.
"""

from __future__ import annotations

from pathlib import Path

from jobmon_pki.ledger import Ledger
from jobmon_pki.names import display, owner_of
from jobmon_pki.profiles import JOB, PROFILES, Identity

ROUNDING = 1.0  # s: certificates tell whole seconds


class Revocations:
    """The certificates that are revoked, as of the last refresh."""

    def __init__(self, ledger: Path) -> None:
        """Open the ledger.

        Raises:
            LedgerError: it cannot be read.
        """
        self._ledger = Ledger(ledger)
        self._serials: frozenset[str] = frozenset()
        self._owners: dict[str, float] = {}  # name of a person: the moment until which what was issued is revoked
        self.refresh()

    def refresh(self) -> bool:
        """Read the list again if the ledger has changed; say whether it has.

        Raises:
            LedgerError: it cannot be read; the list stays as it was.
        """
        if not self._ledger.changed():
            return False
        found = (self._ledger.revoked(), self._ledger.revoked_owners())
        is_changed = found != (self._serials, self._owners)
        self._serials, self._owners = found
        return is_changed

    def reason(self, identity: Identity) -> str | None:
        """Why the certificate is refused; None if it is not."""
        if identity.serial in self._serials:
            return "the certificate was revoked; ask the site's administrator for a new one"
        if self._owners and self._is_of_revoked_owner(identity):
            return "everything its owner had was revoked; ask the site's administrator for a new one"
        return None

    def _is_of_revoked_owner(self, identity: Identity) -> bool:
        """For certificates that were issued elsewhere, so that this ledger has no serial number to revoke."""
        person = owner_of(identity.name) if identity.role == JOB else identity.name
        issued = identity.not_before + PROFILES[identity.role].backdate
        return issued + ROUNDING <= self._owners.get(display(person), 0.0)

    def close(self) -> None:
        """Close the ledger."""
        self._ledger.close()

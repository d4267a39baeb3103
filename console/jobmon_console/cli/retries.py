"""Asking again for an answer that goes on by itself and broke off: when, how often, and when to give up."""

import time

from jobmon_console.errors import JobMonError
from jobmon_console.following import passes

PATIENCE = 600.0  # s an answer that broke off is asked for again; a server is moved or repaired in less, or not soon
FIRST_WAIT = 0.25  # s before it is asked for again
LONGEST_WAIT = 5.0  # s


class Retries:
    """The tries since an answer broke off."""

    def __init__(self) -> None:
        self._tries = 0
        self._broken = 0.0  # s, when it did

    def came(self) -> None:
        """It goes on."""
        self._tries = 0

    def broke(self, error: JobMonError) -> bool:
        """Whether it went on until now; else this is another try that failed.

        Raises:
            JobMonError: this error, if asking again mends nothing, or has not for ``PATIENCE``.
        """
        now = time.monotonic()
        is_first = not self._tries
        if is_first:
            self._broken = now
        if not passes(error) or now - self._broken > PATIENCE:
            raise error
        return is_first

    def wait(self) -> None:
        """Wait until asking again is worth it."""
        time.sleep(min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(self._tries, 10)))
        self._tries += 1

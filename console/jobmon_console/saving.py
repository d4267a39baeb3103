"""A file that comes from a job and is written here, without surprises.

It has another name until it is complete, replaces nothing, follows no link at
its last step, and can be read by nobody else: what a job prints may be secret.
"""

import os
from contextlib import suppress

from jobmon_console.errors import SavingError

MOST = 2**30  # bytes; more is a transfer of data, which is the site's tools' work
_PART = ".part"
_PRIVATE = 0o600


class SavedFile:
    """One file on its way.

    Args:
        path: where it is to be; ``~`` stands for the home directory.

    Attributes:
        path: the same, whole.
        size: bytes written so far.

    Raises:
        SavingError: there is such a file already, or none can be made.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(os.path.expanduser(path))
        self.size = 0
        if os.path.lexists(self.path):
            raise SavingError(f"{self.path} is there already; choose another name")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._descriptor = os.open(self.path + _PART, flags, _PRIVATE)
        except FileExistsError:
            raise SavingError(
                f"{self.path + _PART} is left of an earlier try; remove it, or choose another name"
            ) from None
        except OSError as error:
            raise self._failure(error) from error

    def write(self, data: bytes) -> None:
        """Append.

        Raises:
            SavingError: the disk is full, or the file grows beyond ``MOST``.
        """
        if self.size + len(data) > MOST:
            raise SavingError(f"more than {MOST >> 30} GiB: copy it with the site's own tools")
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            raise self._failure(error) from error
        self.size += len(data)

    def finish(self) -> None:
        """It is complete: give it its name.

        Raises:
            SavingError: somebody made a file of that name meanwhile, or the disk fails; the part is gone.
        """
        try:
            os.fsync(self._descriptor)
            os.link(self.path + _PART, self.path)  # fails where rename would replace
        except OSError as error:
            raise self._failure(error) from error
        finally:
            self.abort()

    def abort(self) -> None:
        """Remove the part."""
        with suppress(OSError):
            os.close(self._descriptor)
        with suppress(OSError):
            os.unlink(self.path + _PART)

    def _failure(self, error: OSError) -> SavingError:
        return SavingError(f"cannot write {self.path}: {error.strerror}; choose another place")


def name_for(job: str, file: str) -> str:
    """A name for a job's file that is safe to type and has no directory in it: ``8812-out.log``."""
    words = f"{job}-{file.replace('/', '-')}"
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in words).lstrip("._-") or "output"

"""Renewal: the credential's file, when the job has got a new certificate for the key it has.

The file is replaced in one step, with mode 0600, so that whoever starts the
job again finds what is valid.  Where that cannot be, as in a directory that
was made read-only, or where another file has the name by now, the certificate
is kept in the agent's memory alone.  It is no secret; the key stays where it is.
"""

import os

from jobmon_wire.envelope import CERTIFICATE, LARGEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Tuple

_PRIVATE = 0o600
_LONGEST_NAME = 100  # characters of the old name in the new file's first one; file systems take 255


class CredentialFile:
    """The file that the job's credential is in.

    Args:
        descriptor: of the file as it was opened at the start.
        renewed: what ``renewed`` told a former worker; None before the first renewal.
    """

    def __init__(self, descriptor: int, renewed: "Optional[Dict[str, Any]]") -> None:
        self._descriptor = descriptor
        status = os.fstat(descriptor)
        self._path: str = renewed["path"] if renewed else _path_of(descriptor)
        self._file: "Tuple[int, int]" = renewed["file"] if renewed else (status.st_dev, status.st_ino)

    def is_replaceable(self) -> bool:
        """Whether ``replace`` may work, as far as can be told."""
        directory = os.path.dirname(self._path)
        return self._is_there() and os.access(directory, os.W_OK | os.X_OK)

    def replace(self, certificate: str) -> bool:
        """Put one with another certificate, PEM, in its place; whether that was done."""
        draft = "%s/.%s.%s" % (
            os.path.dirname(self._path),
            os.path.basename(self._path)[:_LONGEST_NAME],
            os.urandom(8).hex(),
        )
        try:
            made = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _PRIVATE)
        except OSError:
            return False
        try:
            with os.fdopen(made, "wb") as file:
                file.write(_with_certificate(os.pread(self._descriptor, LARGEST, 0), certificate.encode("ascii")))
                file.flush()
                os.fsync(file.fileno())
                status = os.fstat(file.fileno())
            if not self._is_there():
                raise OSError("another file has the name")
            os.rename(draft, self._path)
        except (OSError, ValueError):
            _remove(draft)
            return False
        self._file = (status.st_dev, status.st_ino)
        return True

    def renewed(self, certificate: str) -> "Dict[str, Any]":
        """What the next worker must know."""
        return {"certificate": certificate, "path": self._path, "file": self._file}

    def _is_there(self) -> bool:
        try:
            status = os.stat(self._path, follow_symlinks=False)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._file


def _with_certificate(content: bytes, certificate: bytes) -> bytes:
    """A credential's bytes with other certificates in the place of its own; all else stays as it was written.

    Raises:
        ValueError: they are not all in one place.
    """
    first, last = (b"-----%s %s-----\n" % (word, CERTIFICATE.encode("ascii")) for word in (b"BEGIN", b"END"))
    start, end = content.index(first), content.rindex(last) + len(last)
    if b"PRIVATE KEY" in content[start:end]:
        raise ValueError("the key stands between two certificates")
    return content[:start] + certificate + content[end:]


def _path_of(descriptor: int) -> str:
    """Where the file is now; a removed one has a name that no file has."""
    try:
        return os.readlink("/proc/self/fd/%d" % descriptor)
    except OSError:
        return ""


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass

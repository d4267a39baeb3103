"""Write private files: whole or not at all, and readable by their owner alone.

What a credential holds and how it is read is the wire's
(``jobmon_wire.credential``); the agent reads it without this package.
"""

import os
import secrets
from pathlib import Path

from jobmon_pki.errors import PkiError
from jobmon_wire.credential import SUFFIX, Credential

_PRIVATE = 0o600


class CredentialFileError(PkiError):
    """The file cannot be written."""


def write_credential(path: Path | str, credential: Credential, overwrite: bool = False) -> None:
    """Write a credential file with mode 0600.

    Args:
        path: must not exist, unless ``overwrite``.
        credential: what it will hold.
        overwrite: replace a file in one step: a reader finds the old or the new.

    Raises:
        CredentialFileError: it exists, or cannot be written.
    """
    write_private(path, credential.text(), overwrite)


def credential_name(job_id: str) -> str:
    """The name of the file that holds the credential of a job."""
    return job_id + SUFFIX


def write_private(path: Path | str, content: str, overwrite: bool = False) -> None:
    """Write a text file with mode 0600; see ``write_credential``."""
    target = Path(path)
    # Beside the target, so that the last step is a rename within one file system.
    draft = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _PRIVATE)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if overwrite:
                os.replace(draft, target)
            else:
                os.link(draft, target)  # fails when the name is taken, also by a dangling link
        finally:
            draft.unlink(missing_ok=True)
    except FileExistsError as error:
        raise CredentialFileError(f"{target} exists already; remove it or choose another name") from error
    except OSError as error:
        raise CredentialFileError(f"cannot write {target}: {error.strerror}; check the directory") from error

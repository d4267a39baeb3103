"""The text of a credential file: its head, its blocks, and who may read it.

Without what a credential means, so that it costs next to nothing: the launcher
of a job reads one while the job waits.
"""

import os
import stat

TYPE_CHECKING = False  # importing typing would cost the launcher 10 ms
if TYPE_CHECKING:
    from typing import Dict, Tuple

TITLE = "JobMon credential 1"
LARGEST = 64 * 1024  # bytes; a chain of RSA-4096 certificates is 10 KiB
SUFFIX = ".jobmon"
CERTIFICATE = "CERTIFICATE"
SERVER_CA = "JOBMON SERVER CA"  # a label of its own, see credential.py

_BEGIN, _END, _DASHES = "-----BEGIN ", "-----END ", "-----"
_KEY = "PRIVATE KEY"


class CredentialError(Exception):
    """The credential cannot be used; the text says why and what to do."""


def read_envelope(content: str, name: str) -> "Tuple[Dict[str, str], Dict[str, str]]":
    """The fields of the head, and the blocks by their labels; ``name`` is for the error's sentence.

    Raises:
        CredentialError: it is no credential, or not a whole one.
    """
    if not content.startswith(TITLE + "\n"):
        raise CredentialError("%s is no JobMon credential; expected the first line %r" % (name, TITLE))
    fields = {}
    for line in content.split(_BEGIN, 1)[0].splitlines()[1:]:
        key, _, value = line.partition(": ")
        fields[key.lower()] = value.strip()
    blocks = _blocks(content)
    missing = [what for what in (CERTIFICATE, SERVER_CA) if what not in blocks]
    if not key_label(blocks):
        missing.append(_KEY)
    if missing or not fields.get("server"):
        raise CredentialError("%s is incomplete: no %s; ask for a new one" % (name, (missing + ["Server"])[0]))
    return fields, blocks


def key_label(blocks: "Dict[str, str]") -> str:
    """The label of the private key among the blocks; empty if there is none."""
    return next((label for label in blocks if label.endswith(_KEY)), "")


def _blocks(content: str) -> "Dict[str, str]":
    blocks: "Dict[str, str]" = {}
    label, lines = "", [""]
    for line in content.split("\n"):
        if not label and line.startswith(_BEGIN) and line.endswith(_DASHES):
            label, lines = line[len(_BEGIN) : -len(_DASHES)], []
        if not label:
            continue
        lines.append(line)
        if line == _END + label + _DASHES:
            blocks[label] = blocks.get(label, "") + "\n".join(lines) + "\n"
            label = ""
    return blocks


def open_private(path: str) -> "Tuple[int, str]":
    """Open a private file of one's own; give its descriptor and its content.

    The checks are made on the open descriptor, so the file cannot be exchanged
    in between; ``/proc/self/fd/N`` then names the very file that was checked.

    Raises:
        CredentialError: missing, not a regular file with one name, another
            user's, or readable by others.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise CredentialError("cannot open the credential %s: %s; name one with --credential" % (path, error.strerror))
    try:
        _check_private(path, os.fstat(descriptor))
        content = os.pread(descriptor, LARGEST + 1, 0)
        if len(content) > LARGEST:
            raise CredentialError("%s is longer than %d bytes; it is no credential" % (path, LARGEST))
        return descriptor, content.decode("ascii", "replace")
    except BaseException:
        os.close(descriptor)
        raise


def _check_private(path: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise CredentialError("%s is not a regular file; a credential must be one" % path)
    if status.st_uid != os.geteuid():
        raise CredentialError(
            "%s belongs to another user (uid %d); a credential must be your own" % (path, status.st_uid)
        )
    if status.st_mode & 0o077:
        raise CredentialError(
            "others can read %s (mode %04o); run: chmod 600 %s" % (path, stat.S_IMODE(status.st_mode), path)
        )
    if status.st_nlink != 1:
        raise CredentialError("%s has %d names (hard links); a credential must have one" % (path, status.st_nlink))

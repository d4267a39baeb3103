"""Where a holder is found, and what is said to it: the half that every command pays for.

A holder is for one context.  Its socket lies in a private directory and is
named by a hash of all that decides which context a command is about; the
holder compares the context itself before it does anything.  Nothing here may
import what an interpreter has not loaded by itself: ``typing`` alone costs more
than the whole way through the holder.
"""

import os
import stat
import sys

from jobmon_console import __version__

TYPE_CHECKING = False  # importing typing would cost 10 ms
if TYPE_CHECKING:
    from collections.abc import Mapping

SWITCH = "JOBMON_HOLDER"  # in the environment
OFF = "off"
SUFFIX = ".holder"
LONGEST_PATH = 100  # bytes; a socket's name holds 107, and while it is made it is longer

# Commands that ask once, change nothing and read no keyboard: asking them again does no harm.
HELD = frozenset(["jobs", "show", "log", "node", "ps", "ls", "head", "tail", "cat", "audit"])
_ENDLESS = ("-f", "--follow", "--watch")

# What is said: by the holder's child these, by the command one request after the first of them.
TAKEN = b"+"  # the request may come
BEGUN = b"!"  # its first output goes out now
ELSEWHERE = b"-"  # the holder is not for this command
STATUS = b"="  # and the exit status in decimal; the last word
LARGEST_REQUEST = 4 * 2**20  # bytes; the kernel lets words and environment have 2 MiB

_FLAGS = ("--context", "--credential", "--server", "--cert", "--key", "--ca")
_VARIABLES = ("JOBMON_CONTEXT", "JOBMON_CREDENTIAL", "JOBMON_CONFIG", "XDG_CONFIG_HOME", "HOME")
_HASH = 12  # bytes


def is_held(words: "list[str]", environ: "Mapping[str, str]") -> bool:
    """Whether a holder may carry out the command."""
    if not words or words[0] not in HELD or environ.get(SWITCH) == OFF:
        return False
    return not any(word.startswith(_ENDLESS) for word in words)


def directory(environ: "Mapping[str, str]") -> str:
    """Where this user's holders have their sockets; it may not be there."""
    base = environ.get("XDG_RUNTIME_DIR") or environ.get("XDG_STATE_HOME")
    return os.path.join(base or os.path.expanduser("~/.local/state"), "jobmon")


def is_private(path: str) -> bool:
    """Whether it is a directory that nobody else can look or write into."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077


def socket_path(words: "list[str]", environ: "Mapping[str, str]") -> str:
    """Where the holder for this command is, if there is one; empty where there can be none."""
    try:
        # hashlib would load OpenSSL, 5 ms.
        from _blake2 import blake2s
    except ImportError:
        from hashlib import blake2s
    flags = _flags(words)
    named = [environ.get(name, "") for name in _VARIABLES]
    # Homes may be shared by machines, and a file's name may be relative.
    facts = [__version__, sys.prefix, __file__, os.uname().nodename, *named, *flags]
    if flags or any(name[:1] not in ("", "/") for name in named[1:3]):
        facts.append(os.getcwd())
    name = blake2s("\0".join(facts).encode("utf-8", "surrogateescape"), digest_size=_HASH).hexdigest()
    path = os.path.join(directory(environ), name + SUFFIX)
    return path if len(os.fsencode(path)) <= LONGEST_PATH else ""


def request(words: "list[str]", environ: "Mapping[str, str]", encodings: "list[str]") -> bytes:
    """What a command tells the holder, behind its length; three descriptors go with it.

    Args:
        words: the command and its arguments.
        environ: its environment.
        encodings: of its standard input, output and error.
    """
    variables = [f"{name}={value}" for name, value in environ.items()]
    fields = [os.getcwd(), *encodings, str(len(words)), *words, *variables]
    body = "\0".join(fields).encode("utf-8", "surrogateescape")
    return b"%08x" % len(body) + body


def read_request(body: bytes) -> "tuple[str, list[str], list[str], dict[str, str]]":
    """Directory, encodings, words and environment from a request's body.

    Raises:
        ValueError: it is none.
    """
    cwd, *fields = body.decode("utf-8", "surrogateescape").split("\0")
    encodings, count, rest = fields[:3], int(fields[3]), fields[4:]
    variables = (field.partition("=") for field in rest[count:])
    return cwd, encodings, rest[:count], {name: value for name, _, value in variables}


def _flags(words: "list[str]") -> "list[str]":
    """The words that choose a context."""
    found = []
    for i, word in enumerate(words):
        if word == "--":
            break
        if word.partition("=")[0] in _FLAGS:
            found += [word] if "=" in word else words[i : i + 2]
    return found

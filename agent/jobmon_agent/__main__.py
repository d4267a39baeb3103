"""The way in, of ``jobmond.pyz`` and of ``python -m jobmon_agent``: whatever breaks, the job starts.

The packer puts a copy of this file at the top of the archive.  It alone must
not break, so it does next to nothing; and every Python compiles it anew at
each start, so it is short.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict


def _skip_options(words: "list[str]") -> bool:
    """Take away what is before the command, by hand: the agent's own parser may be what broke; whether to be quiet."""
    is_quiet = False
    while words and words[0].startswith("-"):
        word = words.pop(0)
        is_quiet = is_quiet or word == "--quiet"
        if word == "--":
            break
        if word in ("--credential", "--log-file"):
            words.pop(0)
    return is_quiet


def _run_unmonitored(words: "list[str]") -> None:
    try:
        import signal

        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    finally:
        os.environ["JOBMON_LOG"] = os.devnull
        try:
            os.execvp(words[0], words)  # noqa: S606 - to be the job is the purpose
        except (OSError, IndexError):
            os._exit(127)


def _home() -> str:
    """The archive, or the directory that the agent's packages are in."""
    folder = os.path.dirname(os.path.abspath(__file__))
    return os.path.dirname(folder) if __package__ else folder


def _import_from_here_alone(home: str) -> None:
    """Keep what PYTHONPATH, the user's and the site's packages hold out of the agent.

    The archive comes last: the standard library has no module of its names,
    and would be looked for in it at each import.
    """
    name = "python%d.%d" % sys.version_info[:2]
    roots = (sys.base_prefix + "/", sys.base_exec_prefix + "/")
    standard = []
    for entry in sys.path:
        last = os.path.basename(entry[: -len("/lib-dynload")] if entry.endswith("/lib-dynload") else entry)
        if entry.startswith(roots) and (last.startswith(name) or last == name.replace(".", "") + ".zip"):
            standard.append(entry)
    if standard:  # else this Python is laid out as no other: leave it alone
        sys.path[:] = standard + [home]


def _use_byte_code(home: str) -> None:
    """Import from the byte code of this Python, if the archive has it and it is whole; else from the source."""
    try:
        import marshal
        import zlib
        from _frozen_importlib_external import MAGIC_NUMBER

        tag = "cp%d%d" % sys.version_info[:2]
        archive = globals()["__loader__"]  # zipimport's; else this fails, and that is all
        member = archive.get_data("%s/%s" % (archive.archive, tag))
        start = 4 + int.from_bytes(member[:4], "big")
        head = zlib.decompress(member[4:start])
        if head.startswith(MAGIC_NUMBER):
            code, index = marshal.loads(head[len(MAGIC_NUMBER) :])  # noqa: S302 - the program itself
            names: "Dict[str, Any]" = {"__name__": "jobmon_agent.bytecode"}
            exec(marshal.loads(code), names)  # noqa: S102, S302
            names["install"](tag, index, member, start, home, archive)
    except Exception:  # no archive, no such member, a harmed one, no zlib: the source is there
        pass


if __name__ == "__main__":
    try:
        _import_from_here_alone(_home())
        _use_byte_code(_home())
        from jobmon_agent.launch import main

        _status = main(sys.argv[1:])
    except BaseException as error:
        _words = sys.argv[1:]
        _is_attached = _words[:1] == ["attach"]
        try:
            if not _skip_options(_words[1:] if _is_attached else _words):
                os.write(2, b"jobmond: %s; the job runs unmonitored\n" % repr(error).encode("ascii", "replace"))
        finally:
            if _is_attached:
                os._exit(0)  # the job runs already
            _run_unmonitored(_words)
    sys.exit(_status)

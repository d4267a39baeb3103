"""The way in, of ``jobmond.pyz`` and of ``python -m jobmon_agent``: whatever breaks, the job starts.

The packer puts a copy of this file at the top of the archive.  It alone must
not break, so it does next to nothing.
"""

import os
import sys


def _run_unmonitored(words: "list[str]") -> None:
    # The agent's own parser may be what broke: pass over its options by hand.
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word == "--":
            break
        if word == "--credential":
            words.pop(0)
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


if __name__ == "__main__":
    try:
        from jobmon_agent.launch import main

        _status = main(sys.argv[1:])
    except BaseException as error:
        try:
            os.write(2, b"jobmond: %s; the job runs unmonitored\n" % repr(error).encode("ascii", "replace"))
        finally:
            _run_unmonitored(sys.argv[1:])
    sys.exit(_status)

"""What the agent makes in the job's directory: a file for progress lines, a directory for a shell's last word.

Both are named after the job, are private, and go with the agent.
"""

import os

TYPE_CHECKING = False  # importing typing would cost the launcher 10 ms
if TYPE_CHECKING:
    from typing import Any, Dict

NO_LOG = b"/dev/null"  # what JOBMON_LOG names when nobody reads it: the job may write to it all the same
LISTING = "traps"  # a FIFO in the shell's directory, through which it reads what traps it has


def make_log(sandbox: int, uuid: str) -> str:
    """Make the file for progress lines; its name, or empty if that cannot be.

    A plain file: a FIFO would block the job when the agent is gone.
    """
    name = ".jobmon-%s.log" % uuid[:8]
    try:
        try:
            os.unlink(name, dir_fd=sandbox)  # of an earlier run of this job
        except FileNotFoundError:
            pass
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(name, flags, 0o600, dir_fd=sandbox))
    except OSError:
        return ""
    return name


def make_trap(sandbox: int, uuid: str) -> str:
    """Make the directory in which a shell leaves its status; its name, or empty if that cannot be.

    The status is the name of an empty file: to write one would kill a shell at its file-size limit, and
    block it at a FIFO; into a directory of our own nobody else can put one.
    """
    # A name that no other run of the job has: two that shared one would tell each other's status.
    name = ".jobmon-%s-%s.end" % (uuid[:8], os.urandom(4).hex())
    try:
        os.mkdir(name, 0o700, dir_fd=sandbox)
        os.mkfifo(os.path.join(name, LISTING), 0o600, dir_fd=sandbox)
    except OSError:
        return ""
    return name


def open_trap(sandbox: int, name: str) -> int:
    """A descriptor of that directory, to list it."""
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=sandbox)


def remove_trap(facts: "Dict[str, Any]") -> None:
    """Take the directory away again, wherever the job's directory is now."""
    if not facts.get("trap"):
        return
    sandbox, trap = facts["descriptors"]["sandbox"], facts["descriptors"]["trap"]
    try:
        for each in os.listdir(trap):
            os.unlink(each, dir_fd=trap)
        os.rmdir(facts["trap"], dir_fd=sandbox)
    except OSError:  # the job has removed it, or its own directory
        pass

"""The birth of the agent beside the job.

Three processes take part.  The launcher forks a *herald*; the herald forks the
agent at once, while it is small, then finds all that means the job, hands that
to the agent over a socket, tells the launcher, and ends.  So the agent stays
small, belongs to nobody who waits for it, and the job starts with no child it
does not know.
"""

import _socket
import marshal
import os
import select
import sys
import time

from jobmon_agent import descriptors, idle, jobfiles
from jobmon_agent.detach import detach, rehearse
from jobmon_agent.environment import say
from jobmon_agent.herald import COPIED, DESCRIPTOR_BYTES, Herald

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import Any, Dict, List, Optional

    from jobmon_agent.herald import Plan
else:
    import _signal  # signal itself would cost 3 ms for its enumerations

_LONGEST = 64 * 1024  # bytes of a message between these processes: a path and a few numbers
_PATIENCE = 10.0  # s the job may be held up by an agent that does not start; 0.1 s is usual
_LAST_PATIENCE = 1.0  # s for a killed herald to go away
_DESCRIPTORS = 16  # handed over at most


class Introduction:
    """The launcher's end of the talk with the herald."""

    def __init__(self, herald: int, ask: int, told: int, status: int, mode: str) -> None:
        self._herald = herald
        self._ask = ask
        self._told = told
        self.status = status  # the waiter writes the job's wait status here
        self.mode = mode
        self.uuid = b""
        self.log = b""  # path of the file for progress lines, if there is one
        self.trap = b""  # path of the directory for a shell's word, if there is one
        self.is_copied = False  # what comes into the log file goes on to stdout

    def listen(self) -> bool:
        """Wait for the herald's answer; whether there is a job to watch, by its credential."""
        answer = _read_in_time(self._told)
        if answer:
            self.uuid, self.log, self.trap = answer.split(b"\0")
        return bool(answer)

    def settle(self, job: int) -> None:
        """Name the process that is or becomes the job; return when the agent knows it."""
        try:
            os.write(self._ask, b"%d" % job)
            os.close(self._ask)
            said = _read_in_time(self._told)
            while said:
                self.is_copied = self.is_copied or said == COPIED
                said = _read_in_time(self._told)
        except Exception:  # the herald was killed, or the launcher is out of memory: the job runs on its own
            pass
        _reap(self._herald)


def introduce(plan: "Plan") -> "Optional[Introduction]":
    """Start herald and agent; None if there is no credential, which the herald has said on stderr.

    Raises:
        OSError: no process or descriptor to be had.
    """
    pipes = [descriptors.out_of_the_way(end) for end in os.pipe() + os.pipe()]
    status, status_end = descriptors.pair()
    ask_end, ask, told, tell = pipes
    herald = os.fork()
    if not herald:
        try:
            for descriptor in (ask, told, status):
                os.close(descriptor)
            archive = _hold_archive()
            rehearse()
            Herald(plan, ask_end, tell, status_end, lambda here, status: _be_agent(here, status, archive)).run()
        except Exception as error:
            if not plan.is_quiet:
                say(b"the agent failed: %s; the job runs unmonitored" % repr(error).encode("ascii", "replace"))
        finally:
            os._exit(1)  # also after an exception: nothing of the herald may run the job a second time
    try:
        for descriptor in (ask_end, tell, status_end):
            os.close(descriptor)
        introduction = Introduction(herald, ask, told, status, plan.mode)
        if introduction.listen():
            return introduction
    except BaseException:
        _reap(herald)
        raise
    _reap(herald)
    return None


def _read_in_time(told: int) -> bytes:
    """What the herald says; nothing when it hangs, as on a dead file server: the job shall not."""
    ready, _, _ = select.select([told], [], [], _PATIENCE)
    return os.read(told, _LONGEST) if ready else b""


def _reap(herald: int) -> None:
    """End the herald, which has done its work or hangs, so that the job has no child it does not know."""
    try:
        os.kill(herald, _signal.SIGKILL)
        # One that waits for a dead disk cannot even be killed: do not wait for it for ever.
        end = time.monotonic() + _LAST_PATIENCE
        while not os.waitpid(herald, os.WNOHANG)[0] and time.monotonic() < end:
            time.sleep(0.001)
    except OSError:
        pass


def _be_agent(herald: int, status: int, archive: "List[int]") -> None:
    """Let go of all that is the job's, wait to be told about it, and watch it."""
    detach(0, [herald, status] + archive)
    facts = _receive(herald)
    if facts:
        facts["status"] = status
        os.close(herald)
        try:
            idle.watch(facts)
        finally:
            jobfiles.remove_trap(facts)
    os._exit(0)


def _receive(herald: int) -> "Optional[Dict[str, Any]]":
    channel = _socket.socket(fileno=herald)
    flags = getattr(_socket, "MSG_CMSG_CLOEXEC", 0)
    room = _socket.CMSG_SPACE(_DESCRIPTORS * DESCRIPTOR_BYTES)
    message, ancillary, _, _ = channel.recvmsg(_LONGEST, room, flags)
    channel.detach()
    if not message:  # no credential, or the herald was killed
        return None
    facts: "Dict[str, Any]" = marshal.loads(message)  # noqa: S302 - from our own parent
    packed = b"".join(data for _, _, data in ancillary)
    numbers = [
        int.from_bytes(packed[at : at + DESCRIPTOR_BYTES], sys.byteorder)
        for at in range(0, len(packed), DESCRIPTOR_BYTES)
    ]
    facts["descriptors"] = dict(zip(facts["descriptors"], numbers))  # noqa: B905 - not in Python 3.6
    return facts


def _hold_archive() -> "List[int]":
    """Keep this program importable after chdir, and when its file is removed or replaced during the job."""
    held: "List[int]" = []
    names: "Dict[str, str]" = {}
    for at, entry in enumerate(sys.path):
        path = os.path.abspath(entry)
        if os.path.isfile(path) and os.path.isdir("/proc/self/fd"):
            descriptor = descriptors.out_of_the_way(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
            held.append(descriptor)
            names[entry] = path = "/proc/self/fd/%d" % descriptor
        sys.path[at] = names.setdefault(entry, path)
    for finder in sys.meta_path:
        home = getattr(finder, "home", "")
        if home in names:  # where byte code is harmed, it needs the source
            finder.home = names[home]  # type: ignore[attr-defined]
            finder.hold(int(names[home].rpartition("/")[2]))  # type: ignore[attr-defined]
    for module in list(sys.modules.values()):
        folders = getattr(module, "__path__", None)
        if isinstance(folders, list):
            for old, new in names.items():
                folders[:] = [new + folder[len(old) :] if _is_below(folder, old) else folder for folder in folders]
    return held


def _is_below(folder: str, top: str) -> bool:
    return bool(top) and (folder == top or folder.startswith(top + "/"))

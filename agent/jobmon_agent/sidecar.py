"""The birth of the agent beside the job.

Three processes take part.  The launcher forks a *herald*; the herald forks the
agent at once, while it is small, then imports what it needs to find the
credential and to open what means the job, hands that to the agent over a
socket, tells the launcher, and ends.  So the agent stays small, belongs to
nobody who waits for it, and the job starts with no child it does not know.
"""

import _socket
import marshal
import os
import select
import sys
import time

from jobmon_agent import descriptors, idle
from jobmon_agent.environment import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import Any, Dict, List, Optional, Tuple
else:
    import _signal  # signal itself would cost 3 ms for its enumerations

_LONGEST = 64 * 1024  # bytes of a message between these processes: a path and a few numbers
_PATIENCE = 10.0  # s the job may be held up by an agent that does not start; 0.1 s is usual
_LAST_PATIENCE = 1.0  # s for a killed herald to go away
_DESCRIPTORS = 16  # handed over at most
_DESCRIPTOR_BYTES = 4  # a C int

# Ignored by the agent: batch systems send some of them to everything they find, and it must report the end.
_IGNORED = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGTERM",
    "SIGUSR1",
    "SIGUSR2",
    "SIGXCPU",
    "SIGALRM",
    "SIGVTALRM",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGPIPE",
]


class Introduction:
    """The launcher's end of the talk with the herald."""

    def __init__(self, herald: int, ask: int, told: int, status: int, mode: str, uuid: bytes, log: bytes) -> None:
        self._herald = herald
        self._ask = ask
        self._told = told
        self.status = status  # the waiter writes the job's wait status here
        self.mode = mode
        self.uuid = uuid
        self.log = log  # path

    def settle(self, job: int) -> None:
        """Name the process that is or becomes the job; return when the agent knows it."""
        try:
            os.write(self._ask, b"%d" % job)
            os.close(self._ask)
            while _read_in_time(self._told):
                pass
        except OSError:  # the herald was killed: the job runs on its own
            pass
        _reap(self._herald)


def introduce(command: "List[bytes]", credential: str, mode: str, is_quiet: bool) -> "Optional[Introduction]":
    """Start herald and agent; None if there is no credential, which the herald has said on stderr."""
    pipes = [descriptors.out_of_the_way(end) for end in os.pipe() + os.pipe()]
    status, status_end = descriptors.pair()
    ask_end, ask, told, tell = pipes
    herald = os.fork()
    if not herald:
        try:
            for descriptor in (ask, told, status):
                os.close(descriptor)
            _Herald(ask_end, tell, status_end, command, mode).run(credential, is_quiet)
        except Exception as error:
            if not is_quiet:
                say(b"the agent failed: %s; the job runs unmonitored" % repr(error).encode("ascii", "replace"))
        finally:
            os._exit(1)  # also after an exception: nothing of the herald may run the job a second time
    for descriptor in (ask_end, tell, status_end):
        os.close(descriptor)
    answer = _read_in_time(told)
    if not answer:
        _reap(herald)
        return None
    uuid, log = answer.split(b"\0")
    return Introduction(herald, ask, told, status, mode, uuid, log)


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


class _Herald:
    """The short-lived process between launcher and agent."""

    def __init__(self, ask: int, tell: int, status: int, command: "List[bytes]", mode: str) -> None:
        self._ask = ask
        self._tell = tell
        self._status = status
        self._facts: "Dict[str, Any]" = {"command": command, "mode": mode, "epoch": int(time.time() * 1000)}
        self._kept: "List[int]" = []

    def run(self, credential: str, is_quiet: bool) -> None:
        """Find what the agent needs, hand it over, end."""
        here, there = descriptors.pair()
        child = os.fork()
        if not child:
            try:
                os.close(here)
                _be_agent(there, self._status)
            finally:
                os._exit(1)
        os.close(there)
        self._facts["group"] = child
        found = self._find_credential(credential, is_quiet)
        if not found:
            os._exit(0)
        log = self._make_log(found)
        os.write(self._tell, found.encode("ascii") + b"\0" + log)
        job = int(os.read(self._ask, 32) or b"0")
        if job:
            self._open_job(job)
            self._hand_over(here)
        os._exit(0)

    def _find_credential(self, named: str, is_quiet: bool) -> str:
        """Open the credential; the job's uuid, or empty after a line on stderr."""
        from jobmon_wire.credential import SUFFIX, CredentialError, open_credential

        try:
            path = named or os.environ.get("JOBMON_CREDENTIAL", "") or _only_one(SUFFIX)
            if not path:
                raise CredentialError("no credential; name one with --credential or JOBMON_CREDENTIAL")
            descriptor, credential = open_credential(path)
            if credential.role != "job" or not _is_uuid(credential.uuid):
                raise CredentialError("%s is not a job's credential; jobmon credential makes one" % path)
        except CredentialError as error:
            if not is_quiet:
                say(("%s; the job runs unmonitored" % error).encode("utf-8", "surrogateescape"))
            return ""
        self._keep("credential", descriptor)
        self._facts["uuid"] = credential.uuid
        return str(credential.uuid)

    def _make_log(self, uuid: str) -> bytes:
        """Make the file for progress lines in the working directory; /dev/null if that cannot be.

        A plain file: a FIFO would block the job when the agent is gone.
        """
        name = ".jobmon-%s.log" % uuid[:8]
        self._facts["log"] = self._facts["sandbox_path"] = ""
        self._keep("sandbox", os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        try:
            self._facts["sandbox_path"] = os.getcwd()
            try:
                os.unlink(name)  # of an earlier run of this job
            except FileNotFoundError:
                pass
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        except OSError:
            return b"/dev/null"
        self._facts["log"] = name
        return os.path.join(os.getcwdb(), os.fsencode(name))

    def _open_job(self, job: int) -> None:
        """Open all that means the job and not merely names it."""
        from jobmon_agent.job import start_time
        from jobmon_agent.pidfd import open_pidfd

        self._facts["pid"] = job
        self._facts["starttime"] = start_time(job)
        self._keep("pidfd", open_pidfd(job))
        # The herald has the job's own stdout and stderr.
        for number, name in ((1, "stdout"), (2, "stderr")):
            kind, descriptor = _stream(number)
            self._facts[name + "_kind"] = kind
            self._keep(name, descriptor)

    def _keep(self, name: str, descriptor: "Optional[int]") -> None:
        if descriptor is not None:
            self._facts.setdefault("descriptors", []).append(name)
            self._kept.append(descriptors.out_of_the_way(descriptor))

    def _hand_over(self, agent: int) -> None:
        channel = _socket.socket(fileno=agent)
        # Native int array of descriptors, without the array module.
        packed = b"".join(descriptor.to_bytes(_DESCRIPTOR_BYTES, sys.byteorder) for descriptor in self._kept)
        rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)]
        channel.sendmsg([marshal.dumps(self._facts)], rights)


def _only_one(suffix: str) -> str:
    try:
        names = [name for name in os.listdir(".") if name.endswith(suffix)]
    except OSError:
        return ""
    return names[0] if len(names) == 1 else ""


def _is_uuid(text: str) -> bool:
    # It becomes part of a file's name and of the job's environment.
    return len(text) == 36 and not set(text) - set("0123456789abcdef-")


def _stream(number: int) -> "Tuple[str, Optional[int]]":
    """What the job's stdout or stderr is, and a descriptor to read it if it is a file.

    Anything else is never opened: bytes read from a pipe are lost to its reader.
    """
    import stat

    try:
        status = os.fstat(number)
    except OSError:
        return "none", None
    if stat.S_ISREG(status.st_mode):
        # An open file of its own: reading does not move the job's position.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        try:
            return "file", os.open("/proc/self/fd/%d" % number, flags)
        except OSError:
            return "none", None
    if os.isatty(number):
        return "terminal", None
    return "pipe" if stat.S_ISFIFO(status.st_mode) or stat.S_ISSOCK(status.st_mode) else "none", None


def _be_agent(herald: int, status: int) -> None:
    """Let go of all that is the job's, wait to be told about it, and watch it."""
    os.setpgid(0, 0)  # no setsid: session trackers still find the agent
    for name in _IGNORED:
        _signal.signal(getattr(_signal, name), _signal.SIG_IGN)
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, [])
    os.umask(0o077)
    archive = _hold_archive()
    descriptors.keep_only([herald, status] + archive)
    os.chdir("/")
    facts = _receive(herald)
    if facts:
        facts["status"] = status
        os.close(herald)
        idle.watch(facts)
    os._exit(0)


def _receive(herald: int) -> "Optional[Dict[str, Any]]":
    channel = _socket.socket(fileno=herald)
    flags = getattr(_socket, "MSG_CMSG_CLOEXEC", 0)
    room = _socket.CMSG_SPACE(_DESCRIPTORS * _DESCRIPTOR_BYTES)
    message, ancillary, _, _ = channel.recvmsg(_LONGEST, room, flags)
    channel.detach()
    if not message:  # no credential, or the herald was killed
        return None
    facts: "Dict[str, Any]" = marshal.loads(message)  # noqa: S302 - from our own parent
    packed = b"".join(data for _, _, data in ancillary)
    numbers = [
        int.from_bytes(packed[at : at + _DESCRIPTOR_BYTES], sys.byteorder)
        for at in range(0, len(packed), _DESCRIPTOR_BYTES)
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
        if home in names:  # its byte code is in memory; where that is harmed, it needs the source
            finder.home = names[home]  # type: ignore[attr-defined]
    for module in list(sys.modules.values()):
        folders = getattr(module, "__path__", None)
        if isinstance(folders, list):
            for old, new in names.items():
                folders[:] = [new + folder[len(old) :] if _is_below(folder, old) else folder for folder in folders]
    return held


def _is_below(folder: str, top: str) -> bool:
    return bool(top) and (folder == top or folder.startswith(top + "/"))

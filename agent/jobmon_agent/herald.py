"""The herald: the short-lived process between the launcher and the agent.

It forks the agent at once, while it is small, then imports what it needs to
find the credential and to open all that means the job, hands that to the agent
over a socket, tells the launcher, and ends.
"""

import _socket
import marshal
import os
import sys
import time

from jobmon_agent import descriptors, jobfiles
from jobmon_agent.environment import say

TYPE_CHECKING = False  # importing typing would cost the launcher 10 ms
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple

ATTACH = "attach"  # mode in which the job is the shell that called
DESCRIPTOR_BYTES = 4  # a C int
COPIED = b"copied"  # told when what the job writes to its log file goes on to its stdout


class Plan:
    """What the agent is to watch, and how."""

    def __init__(self, command: "List[bytes]", mode: str, credential: str, is_quiet: bool) -> None:
        self.command = command
        self.mode = mode
        self.credential = credential  # path; else it is looked for
        self.is_quiet = is_quiet
        self.has_log = True  # make a file for progress lines
        self.has_trap = False  # make a directory for the shell's word at its end
        self.log_file: "Optional[int]" = None  # the job's output goes there, and on to its stdout
        self.is_shell = False  # the job is a shell that called us, not what the launcher becomes or starts
        self.is_there: "Callable[[int], bool]" = lambda job: True  # asked when what means the job has been opened


class Herald:
    """Finds what the agent needs, hands it over, ends.

    Args:
        ask: readable when the launcher names the job.
        tell: the launcher reads what is written here.
        status: where the waiter of wrap mode tells how the job ended.
        be_agent: what a process forked off becomes; it takes its end of a socket, and ``status``.
    """

    def __init__(self, plan: "Plan", ask: int, tell: int, status: int, be_agent: "Callable[[int, int], None]") -> None:
        self._plan = plan
        self._ask = ask
        self._tell = tell
        self._status = status
        self._be_agent = be_agent
        epoch = int(time.time() * 1000)
        self._facts: "Dict[str, Any]" = {"command": plan.command, "mode": plan.mode, "epoch": epoch}
        self._kept: "List[int]" = []

    def run(self) -> None:
        """Do all of it; end this process."""
        here, there = descriptors.pair()
        child = os.fork()
        if not child:
            try:
                os.close(here)
                self._be_agent(there, self._status)
            finally:
                os._exit(1)
        os.close(there)
        try:
            os.setpgid(child, child)  # both do it: then the group is there, whoever runs first
        except OSError:  # it was killed already
            pass
        self._facts["group"] = child
        uuid = self._find_credential()
        if not uuid:
            os._exit(0)
        os.write(self._tell, b"\0".join([uuid.encode("ascii")] + self._make_files(uuid)))
        job = int(os.read(self._ask, 32) or b"0")
        if job and self._open_job(job):
            self._hand_over(here)
        os._exit(0)

    def _find_credential(self) -> str:
        """Open the credential; the job's uuid, or empty after a line on stderr."""
        from jobmon_wire.envelope import SUFFIX, CredentialError, open_private, read_envelope

        try:
            path = self._plan.credential or os.environ.get("JOBMON_CREDENTIAL", "") or _only_one(SUFFIX)
            if not path:
                raise CredentialError("no credential; name one with --credential or JOBMON_CREDENTIAL")
            descriptor, content = open_private(path)
            fields = read_envelope(content, path)[0]
            uuid = fields.get("uuid", "")
            if fields.get("role") != "job" or not _is_uuid(uuid):
                raise CredentialError("%s is not a job's credential; jobmon credential makes one" % path)
        except CredentialError as error:
            if not self._plan.is_quiet:
                say(("%s; the job runs unmonitored" % error).encode("utf-8", "surrogateescape"))
            return ""
        self._keep("credential", descriptor)
        self._facts["uuid"] = uuid
        return uuid

    def _make_files(self, uuid: str) -> "List[bytes]":
        """Make what the plan wants in the working directory; the paths of log and trap, empty where there is none."""
        sandbox = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._keep("sandbox", sandbox)
        self._facts["log"] = self._facts["trap"] = self._facts["sandbox_path"] = ""
        try:
            self._facts["sandbox_path"] = os.getcwd()
        except OSError:  # removed already
            return [b"", b""]
        if self._plan.has_log:
            self._facts["log"] = jobfiles.make_log(sandbox, uuid)
        if self._plan.has_trap:
            self._facts["trap"] = jobfiles.make_trap(sandbox, uuid)
            if self._facts["trap"]:
                self._keep("trap", jobfiles.open_trap(sandbox, self._facts["trap"]))
        directory = os.getcwdb()
        names = [self._facts["log"], self._facts["trap"]]
        return [os.path.join(directory, os.fsencode(name)) if name else b"" for name in names]

    def _open_job(self, job: int) -> bool:
        """Open all that means the job and not merely names it; whether it is there."""
        from jobmon_agent import streams
        from jobmon_agent.pidfd import open_pidfd
        from jobmon_agent.pidstat import start_time

        self._facts["pid"] = job
        self._facts["starttime"] = start_time(job)
        self._keep("pidfd", open_pidfd(job))
        is_there = self._plan.is_there(job)  # only now: before, the number could have been used again
        self._copy_log_file()
        for number, name in streams.STREAMS:
            kind, descriptor = self._stream(job, number)
            self._facts[name + "_kind"] = kind
            self._keep(name, descriptor)
        return is_there

    def _stream(self, job: int, number: int) -> "Tuple[str, Optional[int]]":
        from jobmon_agent import logfile, streams

        if self._plan.log_file is not None and logfile.takes(number):
            return streams.open_stream("self", self._plan.log_file)
        # Those of the job are inherited; but a shell may have called us with others, as for `$(...)`.
        return streams.open_stream(str(job) if self._plan.is_shell else "self", number)

    def _copy_log_file(self) -> None:
        """Fork off the process that copies the log file onward, and say that it is there."""
        log, facts = self._plan.log_file, self._facts
        if log is None:
            return
        from jobmon_agent.copier import start_copier

        try:
            start_copier(log, facts["group"], facts["pid"], facts["starttime"], self._kept_as("pidfd"))
            os.write(self._tell, COPIED)
        except OSError:  # no process left
            self._plan.log_file = None

    def _keep(self, name: str, descriptor: "Optional[int]") -> None:
        if descriptor is not None:
            self._facts.setdefault("descriptors", []).append(name)
            self._kept.append(descriptors.out_of_the_way(descriptor))

    def _kept_as(self, name: str) -> "Optional[int]":
        names = self._facts["descriptors"]
        return self._kept[names.index(name)] if name in names else None

    def _hand_over(self, agent: int) -> None:
        channel = _socket.socket(fileno=agent)
        # Native int array of descriptors, without the array module.
        packed = b"".join(descriptor.to_bytes(DESCRIPTOR_BYTES, sys.byteorder) for descriptor in self._kept)
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

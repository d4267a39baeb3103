"""What NVIDIA's tool tells of the GPUs that a job uses.

``nvidia-smi`` waits for the driver, which may take for ever.  So it runs as a
child with a deadline, in a performer, and is never waited for beyond that;
where it is not installed nothing is started.  What it prints is read with
distrust: a line that is none is passed over.
"""

import os
import select
import time

from jobmon_agent import descriptors, kernel
from jobmon_wire import limits
from jobmon_wire.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import Any, Dict, List, Optional, Sequence
else:
    import _signal as signal  # signal itself would cost 1 ms for its enumerations

PROGRAM = "nvidia-smi"
DEADLINE = 5.0  # s; 0.1 to 1 s is usual
GPUS = 64  # of one node at most
_OUTPUT = 256 * limits.KIB  # bytes
_CLOSE = 0.05  # s that its end may take after its output has ended
_FORMAT = "--format=csv,noheader,nounits"
_DEVICES = ("--query-gpu=index,uuid,name,utilization.gpu,memory.used,memory.total", _FORMAT)
_PROCESSES = ("--query-compute-apps=pid,gpu_uuid,used_memory", _FORMAT)
_VISIBLE = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")  # indices or uuids, as batch systems set them


class Gpus(NamedTuple):
    """The GPUs of a job, and what its processes hold of them."""

    devices: "List[Dict[str, Any]]"
    memory: "Dict[int, int]"  # bytes by pid, of all its GPUs


class Question:
    """One run of ``nvidia-smi`` under way.

    Args:
        program: path.
        arguments: of it.
        deadline: s of the monotonic clock.
    """

    def __init__(self, program: str, arguments: "Sequence[str]", deadline: float) -> None:
        self._deadline = deadline
        self._data = b""
        self._pipe, its_end = os.pipe()
        parent = os.getpid()
        self._pid = os.fork()
        if not self._pid:
            try:
                _be_program(program, arguments, its_end, parent)
            finally:
                os._exit(127)
        os.close(its_end)

    def answer(self, patience: float) -> "Optional[bytes]":
        """What it printed, or None while it has not ended; b"" when it failed or took too long."""
        end = min(self._deadline, time.monotonic() + patience)
        while True:
            left = end - time.monotonic()
            waiter = select.poll()
            waiter.register(self._pipe, select.POLLIN)
            if not waiter.poll(max(0.0, left) * 1000):
                return self._close() if time.monotonic() >= self._deadline else None
            part = os.read(self._pipe, limits.FRAME_PAYLOAD)
            self._data += part
            if len(self._data) > _OUTPUT:
                return self._close()
            if not part:
                return self._data if self._has_succeeded() else b""

    def _has_succeeded(self) -> bool:
        end = time.monotonic() + _CLOSE
        while True:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid or time.monotonic() >= end:
                break
            time.sleep(0.001)
        self._pid = 0 if pid else self._pid
        self._close()
        return pid > 0 and status == 0

    def _close(self) -> bytes:
        os.close(self._pipe)
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)  # not reaped yet, so the number is its own
            os.waitpid(self._pid, os.WNOHANG)  # one that waits for the driver cannot even be killed
        return b""


class Asking:
    """The two questions about a job's GPUs, one after the other; nobody has to wait for them."""

    def __init__(self) -> None:
        self._program = find()
        self._deadline = time.monotonic() + DEADLINE
        self._question: "Optional[Question]" = None
        self._answers: "List[bytes]" = []
        self.is_over = not self._program

    def look(self, pids: "Sequence[int]", patience: float = 0.0) -> "Optional[Gpus]":
        """The GPUs of the job with those processes; None while that is not known, or when it cannot be."""
        while not self.is_over and len(self._answers) < 2:
            if self._question is None and not self._ask((_DEVICES, _PROCESSES)[len(self._answers)]):
                return None
            answer = self._question.answer(patience) if self._question else None
            if answer is None:
                return None
            self._question = None
            self._answers.append(answer)
            self.is_over = not self._answers[0]  # a node without GPUs, or a driver that does not answer
        if self.is_over:
            return None
        self.is_over = True
        return parse(self._answers[0], self._answers[1], pids, visible())

    def _ask(self, arguments: "Sequence[str]") -> bool:
        try:
            self._question = Question(self._program, arguments, self._deadline)
        except OSError:  # no process left on the node
            self.is_over = True
        return not self.is_over


def gpus(pids: "Sequence[int]") -> "Optional[Gpus]":
    """The GPUs of the job with those processes, at most ``DEADLINE`` later; None where that is not known."""
    return Asking().look(pids, DEADLINE)


def find() -> str:
    """Where the program is, or "" where it is not installed."""
    for directory in os.environ.get("PATH", "").split(os.pathsep) + ["/usr/bin"]:
        path = os.path.join(directory, PROGRAM)
        if os.path.isabs(path) and os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return ""


def visible() -> "List[str]":
    """Indices and uuids of the GPUs that the batch system has given to the job."""
    return [name.strip() for variable in _VISIBLE for name in os.environ.get(variable, "").split(",") if name.strip()]


def parse(devices: bytes, processes: bytes, pids: "Sequence[int]", names: "Sequence[str]") -> Gpus:
    """The GPUs where one of the pids has memory, or that are named; all of it in bytes and percent."""
    memory: "Dict[int, int]" = {}
    used: "Dict[str, int]" = {}
    wanted = set(pids)
    for fields in _rows(processes, 3):
        pid = _number(fields[0])
        if pid in wanted and pid is not None:
            held = (_number(fields[2]) or 0) * limits.MIB
            memory[pid] = min(memory.get(pid, 0) + held, limits.INTEGER)
            used[fields[1]] = min(used.get(fields[1], 0) + held, limits.INTEGER)
    found = []
    for index, uuid, name, busy, occupied, whole in _rows(devices, 6):
        if uuid in used or index in names or uuid in names:
            found.append(
                {
                    "index": _number(index),
                    "name": name[: limits.LABEL],
                    "utilization": _number(busy),
                    "memory_used": _bytes(occupied),
                    "memory": _bytes(whole),
                    "job_memory": used.get(uuid),
                }
            )
    return Gpus(found[:GPUS], memory)


def _rows(printed: bytes, width: int) -> "List[List[str]]":
    lines = printed.decode("utf-8", "replace").splitlines()
    rows = [[field.strip() for field in line.split(",")] for line in lines]
    return [row for row in rows if len(row) == width and _number(row[0]) is not None]


def _number(field: str) -> "Optional[int]":
    """``[N/A]`` and ``[Not Supported]`` are none."""
    return int(field) if field.isdigit() and len(field) < 12 else None


def _bytes(field: str) -> "Optional[int]":
    value = _number(field)
    return None if value is None else min(value * limits.MIB, limits.INTEGER)


def _be_program(program: str, arguments: "Sequence[str]", output: int, parent: int) -> None:
    kernel.end_with_parent()
    if os.getppid() != parent:
        return
    # All else is closed by exec.
    output, nothing = [descriptors.out_of_the_way(each) for each in (output, os.open(os.devnull, os.O_RDWR))]
    for number, descriptor in enumerate((nothing, output, nothing)):
        os.dup2(descriptor, number)
    os.execv(program, (program,) + tuple(arguments))  # noqa: S606 - found on the job's own path

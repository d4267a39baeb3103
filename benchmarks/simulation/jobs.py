"""Simulated jobs: what an agent would say of each, by a seeded generator.

The same seed makes the same jobs, in whatever order and by however many
processes they are made.  A job's figures change when it is told to; nothing
here opens a socket.
"""

import time
from random import Random
from typing import Any, NamedTuple

from jobmon_wire.records import EXEC, EndReport, Registration, Vitals, exit_of

GIB = 2**30  # bytes
ARRAY = 50  # jobs of one array: same owner, same program
FIRST_ARRAY = 4_000_000  # a batch system's numbers after some years
OLDEST = 48 * 3600.0  # s since the start of the longest-running job
FILES = 24  # in a job's directory
LINE = 72  # characters of a line of output


class Program(NamedTuple):
    """What jobs run."""

    name: str
    command: str
    cpus: int
    rss: float  # GiB
    processes: int


PROGRAMS = (
    Program("reco", "python3 reconstruct.py --run {array} --part {part}", 1, 2.1, 2),
    Program("sim", "./simulate -n 100000 --seed {part}", 1, 0.9, 1),
    Program("train", "python3 train.py --fold {part} --epochs 200", 8, 11.0, 9),
    Program("align", "bwa mem -t 4 reference.fa sample_{part}.fq", 4, 5.8, 1),
    Program("merge", "sh merge.sh run{array} {part}", 1, 0.2, 4),
    Program("cfd", "mpirun -np 16 solver case{part}", 16, 24.0, 17),
)
CHARACTER = "abcdefghijklmnopqrstuvwxyz .0123456789"


class Plan(NamedTuple):
    """What a fleet is made of."""

    owners: tuple[str, ...]
    nodes: int
    made: float  # s since 1970
    seed: int = 1

    def owner(self, index: int) -> str:
        """Whose the job is: a few people have most of them, as everywhere."""
        share = Random(f"owner {self.seed} {index // ARRAY}").random()
        return self.owners[int(len(self.owners) * share**2)]

    def id(self, index: int) -> str:
        """The id of a job."""
        return f"{FIRST_ARRAY + index // ARRAY}_{index % ARRAY}"

    def job(self, index: int) -> "Job":
        """A job that has run for a while."""
        return Job(self, index)


class Job:
    """One simulated job.

    Args:
        plan: of the fleet.
        index: from 0.
    """

    __slots__ = (
        "cpu",
        "epoch",
        "id",
        "index",
        "node",
        "output",
        "output_at",
        "program",
        "restarts",
        "rss",
        "started",
        "state",
    )

    def __init__(self, plan: Plan, index: int) -> None:
        now, draw = plan.made, Random(f"job {plan.seed} {index}")
        self.index = index
        self.id = plan.id(index)
        self.node = draw.randrange(plan.nodes)
        self.program = PROGRAMS[Random(f"program {plan.seed} {index // ARRAY}").randrange(len(PROGRAMS))]
        self.started = now - OLDEST * draw.random() ** 2
        self.epoch = int(now * 1000)
        self.restarts = 0
        self.cpu = 100.0 * self.program.cpus * draw.uniform(0.5, 1.0)
        self.rss = int(self.program.rss * GIB * draw.uniform(0.3, 1.0))
        self.output = draw.randrange(10**7)  # bytes
        self.output_at = now - 60 * draw.random()
        self.state = "R"

    def change(self, draw: Random, now: float) -> None:
        """Go on a little: other figures, a few lines more."""
        self.cpu = max(0.0, min(100.0 * self.program.cpus, self.cpu + draw.uniform(-20, 20)))
        self.rss = max(2**20, int(self.rss * draw.uniform(0.95, 1.06)))
        self.output += LINE * draw.randrange(1, 50)
        self.output_at = now

    def stop_or_go(self) -> None:
        """Be stopped, as by a batch system that suspends it, or go on."""
        self.state = "R" if self.state == "T" else "T"

    def restart(self, now: float) -> None:
        """Be started anew, as after a requeue."""
        self.restarts += 1
        self.epoch = max(self.epoch + 1, int(now * 1000))
        self.started = self.output_at = now
        self.output, self.state = 0, "R"

    @property
    def node_name(self) -> str:
        """The host's name."""
        return f"wn{self.node + 1:04d}.example.org"

    @property
    def command(self) -> str:
        """The command line."""
        array, _, part = self.id.partition("_")
        return self.program.command.format(array=array, part=part)

    @property
    def memory_limit(self) -> int:
        """Bytes it may have."""
        return int(self.program.rss * 1.25 * GIB)

    def registration(self) -> Registration:
        """What its agent says first."""
        array, _, part = self.id.partition("_")
        batch = {"system": "slurm", "array": self.id, "job": array, "task": part, "partition": "batch"}
        return Registration(
            epoch=self.epoch,
            agent="0.1.0",
            python="3.9.18",
            mode=EXEC,
            pid=20_000 + self.index % 30_000,
            started=self.started,
            command=self.command,
            name=f"{self.program.name}-{array}",
            cwd=f"/scratch/{array}/{part}",
            user="batch",
            node=self.node_name,
            cpus=64,
            memory=256 * GIB,
            kernel="Linux 5.14.0-427.el9.x86_64",
            batch=dict(batch, restarts=str(self.restarts)) if self.restarts else batch,
            tags={"campaign": f"run{int(array) % 7}"},
            stdout="file",
            stderr="file",
        )

    def vitals(self, now: float) -> Vitals:
        """What a beat carries."""
        is_stopped = self.state == "T"
        return Vitals(
            at=now,
            cpu_percent=0.0 if is_stopped else self.cpu,
            rss_bytes=self.rss,
            processes=self.program.processes,
            output_bytes=self.output,
            output_at=self.output_at,
            memory_limit=self.memory_limit,
            oom_kills=0,
            state=self.state,
        )

    def end(self, now: float, status: int) -> EndReport:
        """The last word; ``status`` is as wait() tells it."""
        words = self.line(self.output) * 20
        told = exit_of(status, "pidfd")
        return EndReport(
            self.epoch, now, told, words, b"", self.output, 0, self.rss, max(0.0, now - self.started) * 0.9, 0
        )

    def line(self, number: int) -> bytes:
        """One line of its output; always the same one."""
        draw = Random(f"line {self.index} {number}")
        text = "".join(draw.choices(CHARACTER, k=LINE - 20))
        return f"{number:>12} event {text}\n".encode("ascii")[-LINE:]

    def ps(self) -> list[dict[str, Any]]:
        """The rows of ``ps``."""
        first = 20_000 + self.index % 30_000
        return [self._process(first + number, first if number else 1, not number) for number in self._numbers()]

    def _numbers(self) -> range:
        return range(self.program.processes)

    def _process(self, pid: int, parent: int, is_job: bool) -> dict[str, Any]:
        share = 1 / self.program.processes
        return {
            "pid": pid,
            "ppid": parent,
            "state": self.state,
            "name": self.command.split()[0].rpartition("/")[2],
            "command": self.command,
            "user": "batch",
            "cpu_percent": round(self.cpu * share, 1),
            "cpu_seconds": round(max(0.0, time.time() - self.started) * self.cpu * share / 100, 2),
            "rss": int(self.rss * share),
            "threads": self.program.cpus,
            "read": 4096 * self.index,
            "written": self.output,
            "open_files": 12,
            "gpu_memory": None,
            "started": self.started,
            "is_job": is_job,
        }

    def ls(self) -> list[dict[str, Any]]:
        """The entries of its directory."""
        names = ["job.err", "job.out", *(f"part-{number:03d}.dat" for number in range(FILES - 2))]
        sizes = [0, self.output, *(self.rss // (number + 7) for number in range(FILES - 2))]
        return [
            {
                "name": name,
                "kind": "file",
                "size": size,
                "allocated": -(-size // 4096) * 4096,
                "modified": self.output_at,
                "mode": 0o644,
                "links": 1,
                "owner": "batch",
                "group": "batch",
                "target": None,
            }
            for name, size in zip(names, sizes, strict=True)
        ]

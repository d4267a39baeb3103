"""A Slurm of this machine's own: one node, in a directory of its own, on ports of its own, gone after the tests.

``Slurm`` brings up munged, slurmctld and slurmd as root; jobs run as an
unprivileged user.  Nothing of an installed Slurm's configuration is read or
changed.  The flavours are two ways to keep track of a job's processes, which
differ in what is signalled and in who survives whom.
"""

import contextlib
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.ports import free_ports

PLAIN, CGROUP = "linuxproc", "cgroup"
FLAVOURS = (PLAIN, CGROUP)
USER = "nobody"  # jobs run as: no user need be made for it
PROGRAMS = {
    "munged": "munge",
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    "sbatch": "slurm-client",
}  # and the Debian packages that hold them
# s from a job's waiting to a request to start it now, and between two of them: each has the scheduler begin anew, and
# a job that comes back within the second in which it was killed is one that slurmd refuses, and Slurm calls failed.
HASTE = 1.2
START = 30.0  # s; half a second is usual
KILL_WAIT = 3  # s between TERM and KILL; 30 is Slurm's own

_CONFIGURATION = """\
ClusterName=testcl
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={home}/munge/socket
SlurmctldPort={controller}
SlurmdPort={daemon}
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/slurmd.pid
SlurmctldLogFile={home}/slurmctld.log
SlurmdLogFile={home}/slurmd.log
MpiDefault=none
ProctrackType=proctrack/{flavour}
TaskPlugin={task}
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
KillWait={kill_wait}
OverTimeLimit=0
MinJobAge=300
ReturnToService=2
SlurmdTimeout=60
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=10000
PriorityType=priority/basic
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=4000 State=UNKNOWN
PartitionName=batch Nodes={host} Default=YES MaxTime=60 State=UP OverSubscribe=FORCE:8
"""

_CGROUPS = """\
CgroupPlugin=autodetect
CgroupAutomount=no
ConstrainCores=no
ConstrainRAMSpace=yes
"""


def missing(flavour: str) -> str:
    """What keeps Slurm of that flavour from running here, in one sentence; empty if nothing does."""
    if os.geteuid():
        return "slurmd must be started by root"
    # Debian keeps the daemons in /usr/sbin.
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    packages = [package for program, package in PROGRAMS.items() if not shutil.which(program, path=path)]
    if packages:
        return f"Slurm is not installed; apt install {' '.join(packages)}"
    lacking = [name for name in ("freezer", "memory") if not os.access(f"/sys/fs/cgroup/{name}", os.W_OK)]
    if flavour == CGROUP and lacking:
        return (
            f"Slurm needs to write to cgroups of version 1 without systemd; {' and '.join(lacking)} cannot be written"
        )
    return ""


TAGS = "project=apollo"  # in the user's environment, which sbatch hands on


class Slurm:
    """One cluster of one node."""

    def __init__(self, flavour: str) -> None:
        self.flavour = flavour
        self._hastened: dict[str, float] = {}  # s, when a job was first seen waiting, or last asked to start now
        # Not pytest's directory, which is root's alone: jobs run as somebody else.
        self.home = Path(tempfile.mkdtemp(prefix="jobmon-slurm-"))
        self.home.chmod(0o711)
        self.user = pwd.getpwnam(USER)
        path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "JOBMON"))}
        self.environment = kept | {"PATH": path, "SLURM_CONF": str(self.home / "slurm.conf")}
        self._daemons: list[subprocess.Popen[bytes]] = []
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def submit(self, script: str, directory: Path, *options: str) -> str:
        """Submit a script as the user; the job's number."""
        path = directory / "job.sh"
        path.write_text(script)
        path.chmod(0o755)
        told = self.user_runs("sbatch", "--parsable", "--mem=50M", *options, str(path), cwd=directory)
        return told.strip().partition(";")[0]

    def user_runs(self, *command: str, cwd: Path | None = None) -> str:
        """Run a command of Slurm as the user; what it prints."""
        done = subprocess.run(
            command,
            cwd=cwd or "/",
            env=self.environment | {"JOBMON_TAGS": TAGS},
            user=self.user.pw_uid,
            group=self.user.pw_gid,
            extra_groups=[],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START,
            check=False,
        )
        assert done.returncode == 0, f"{command[0]}: {done.stderr}"
        return done.stdout

    def root_runs(self, *command: str) -> str:
        """Run a command of Slurm as its administrator; what it prints."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=START, check=False)
        assert done.returncode == 0, f"{command[0]}: {done.stderr}"
        return done.stdout

    def state(self, job: str) -> str:
        """What Slurm says of the job: RUNNING, CANCELLED, TIMEOUT…"""
        told = self.user_runs("scontrol", "-o", "show", "job", job)
        return found.group(1) if (found := re.search(r"JobState=(\w+)", told)) else ""

    def hasten(self, job: str) -> bool:
        """Have a requeued job start now, as Slurm itself waits two minutes; whether it runs."""
        state = self.state(job)
        if state == "PENDING" and time.monotonic() - self._hastened.setdefault(job, time.monotonic()) > HASTE:
            self._hastened[job] = time.monotonic()
            # Again and again: while the first run is not cleared away, Slurm puts the start off anew.
            subprocess.run(
                ["scontrol", "update", f"JobId={job}", "StartTime=now"],
                env=self.environment,
                capture_output=True,
                timeout=START,
                check=False,
            )
        # Told of the end, JobMon is ahead of Slurm, for which the first run may still go on.
        return state == "RUNNING" and "Restarts=0" not in self.user_runs("scontrol", "-o", "show", "job", job)

    def directory(self, name: str) -> Path:
        """A new directory of the user's, in which jobs may work."""
        path = self.home / name
        path.mkdir()
        os.chown(path, self.user.pw_uid, self.user.pw_gid)
        return path

    def give(self, path: Path) -> None:
        """Make a file the user's own."""
        os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def stop(self) -> None:
        """End the jobs and the daemons, and leave nothing behind."""
        if not self._daemons:
            return
        with contextlib.suppress(OSError, subprocess.SubprocessError, AssertionError):
            self.root_runs("scancel", "-u", USER, "-f")
            self._wait(lambda: not self.root_runs("squeue", "-h").strip(), 10.0)
        for daemon in reversed(self._daemons):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self._daemons.clear()
        _remove_cgroups()
        shutil.rmtree(self.home, ignore_errors=True)

    def _start(self) -> None:
        for name in ("munge", "state", "spool"):
            (self.home / name).mkdir(mode=0o755)
        controller, daemon = free_ports(2)
        (self.home / "slurm.conf").write_text(
            _CONFIGURATION.format(
                home=self.home,
                host=socket.gethostname().partition(".")[0],
                controller=controller,
                daemon=daemon,
                flavour=self.flavour,
                task="task/cgroup" if self.flavour == CGROUP else "task/none",
                kill_wait=KILL_WAIT,
                cpus=os.cpu_count(),
            )
        )
        (self.home / "cgroup.conf").write_text(_CGROUPS)
        self._start_munge()
        configuration = ["-f", str(self.home / "slurm.conf")]
        self._daemon("slurmctld", "-D", *configuration)
        self._wait(lambda: "UP" in self._says("scontrol", "ping"))
        self._daemon("slurmd", "-D", *configuration)
        self._wait(lambda: self._says("sinfo", "-h", "-o", "%T").strip() in ("idle", "mixed"))

    def _start_munge(self) -> None:
        folder = self.home / "munge"
        key = folder / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        options = {
            "key-file": key,
            "socket": folder / "socket",
            "pid-file": folder / "pid",
            "log-file": folder / "log",
            "seed-file": folder / "seed",
        }
        self._daemon("munged", "--foreground", "--force", *(f"--{name}={value}" for name, value in options.items()))
        self._wait((folder / "socket").exists)

    def _daemon(self, *command: str) -> None:
        with (self.home / f"{command[0]}.err").open("wb") as errors:
            self._daemons.append(
                subprocess.Popen(
                    command,
                    env=self.environment,
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=errors,
                    stderr=errors,
                    start_new_session=True,
                )
            )

    def _says(self, *command: str) -> str:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=START, check=False)
        return done.stdout

    def _wait(self, claim: Callable[[], Any], limit: float = START) -> None:
        deadline = time.monotonic() + limit
        while not claim():
            dead = [daemon.args for daemon in self._daemons if daemon.poll() is not None]
            assert not dead, f"{dead} ended: {self._errors()}"
            assert time.monotonic() < deadline, f"Slurm did not come up: {self._errors()}"
            time.sleep(0.02)

    def _errors(self) -> str:
        logs: Sequence[Path] = [*self.home.glob("*.err"), *self.home.glob("*.log")]
        return "\n".join(f"{path.name}: {path.read_text(errors='replace')[-2000:]}" for path in logs)


def _remove_cgroups() -> None:
    """Take away what slurmd has made below /sys/fs/cgroup and leaves there."""
    host = socket.gethostname().partition(".")[0]
    for top in Path("/sys/fs/cgroup").glob(f"*/slurm_{host}"):
        for folder, _, _ in sorted(os.walk(top), reverse=True):
            with contextlib.suppress(OSError):
                os.rmdir(folder)

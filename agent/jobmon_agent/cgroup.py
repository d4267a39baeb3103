"""The control groups a job runs in: whether one is the job's own, and what they limit and count.

A group is the job's own when the batch system made it for the job: its path
names the job as that batch system does, or the job alone was put into it by a
parent that stayed outside.  A login session, a service, a user's slice and the
root hold other people's work too and never are.  That is decided once, at the
first look, as the parent may be gone later; processes forked from this one
know it from then on.

Both versions are read, also where a node mounts both.  The idle process
imports this, so nothing large is imported here.
"""

import os

from jobmon_agent.proc import read_file, read_process
from jobmon_wire.limits import INTEGER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, Iterator, List, Optional, Tuple

    from jobmon_agent.job import AnyJob

UNLIMITED = 2**60  # bytes; version 1 says "no limit" with a number near 2**63
_FILE_BYTES = 64 * 1024  # of /proc/PID/cgroup and of a group's figures; the longest has some 4 KiB
_MOUNTS_BYTES = 4 * 1024 * 1024  # a node with thousands of containers has that many mounts
_PIDS_BYTES = 1024 * 1024  # of cgroup.procs: 100,000 processes
_GROUPS = 256  # groups below the job's own that are looked into: Slurm makes one for each task
_FOREBEARS = 64  # generations that a process is followed back
_DEEPEST = 8  # levels below the job's own group

# Hierarchies in which a batch system may have made a group for the job; where the memory is, there most likely.
_TRACKERS = ("memory", "", "freezer", "pids", "cpuacct", "name=systemd")

# How a batch system names the group of a job: a variable of its environment, and whether a part of the path is
# what it makes of the value.  Innermost first, as in ``batch.SYSTEMS``; the first that is set decides alone, for
# the group of a pilot's own job holds the jobs of others too.
_NAMES: "Tuple[Tuple[str, Callable[[str, str], bool]], ...]" = (
    ("_CONDOR_SLOT", lambda part, slot: "_%s@" % slot in part),  # condor_var_lib_condor_execute_slot1_1@node
    ("_CONDOR_JOB_AD", lambda part, path: False),  # HTCondor that names no slot
    ("SLURM_JOB_ID", lambda part, job: part == "job_" + job),
    ("LSB_JOBID", lambda part, job: part.startswith("job.%s." % job)),  # job.17.4711.1790000000
    ("PBS_JOBID", lambda part, job: part in (job, "pbspro-%s.slice" % job)),
    ("JOB_ID", lambda part, job: "SGE_ROOT" in os.environ and part.startswith(job + ".")),  # 17.1
)
_SHARED = ("user.slice", "init.scope")  # parts of a path: what is below belongs to a login


class _Place:
    """A group in one hierarchy."""

    __slots__ = ("mount", "path", "is_unified")

    def __init__(self, mount: str, path: str, is_unified: bool) -> None:
        self.mount = mount  # directory of the hierarchy's root, as far as this process sees it
        self.path = path  # below it, "" for the root, else with a leading slash
        self.is_unified = is_unified  # version 2

    def directories(self) -> "Iterator[str]":
        """Of this group and all above it, the innermost first."""
        path = self.path
        while path:
            yield self.mount + path
            path = path.rpartition("/")[0]
        yield self.mount


class Cgroup:
    """The groups of one job.

    Args:
        job: whose.
    """

    def __init__(self, job: "AnyJob") -> None:
        self._pid, self._group = job.pid, job.group
        # A waiter is the job's parent and was put where the batch system wants the job.
        waiter = read_process(job.pid) if job.mode == "wrap" else None
        self._top = waiter.ppid if waiter else job.pid
        self._places = _places(job.pid)
        self.own, self._tracker = self._find_own()  # its own directory, "" where it has none

    def pids(self) -> "List[int]":
        """The processes in the job's own group and below it; none where it has no group of its own."""
        return [pid for directory in self._own_directories(self.own) for pid in _pids(directory)]

    def limit(self) -> "Optional[int]":
        """Bytes of memory that the job may have: the least of all groups above it."""
        place = self._places.get("memory")
        if place is None:
            return None
        names = ("memory.max", "memory.high") if place.is_unified else ("memory.limit_in_bytes",)
        values = [_number(directory + "/" + name) for directory in place.directories() for name in names]
        if not place.is_unified:
            # Counts groups above that a container does not show.
            values.append(_table(place.mount + place.path + "/memory.stat").get(b"hierarchical_memory_limit"))
        known = [value for value in values if value is not None and value < UNLIMITED]
        return min(known) if known else None

    def oom_kills(self) -> "Optional[int]":
        """Processes of the job's own group that the kernel killed for want of memory."""
        if not self.own:
            return None
        place = self._places.get("memory")
        own = self._own_in("memory")
        if place is None or not own:
            return None
        if place.is_unified:  # counts the groups below, too
            return _table(own + "/memory.events").get(b"oom_kill")
        counts = [_table(each + "/memory.oom_control").get(b"oom_kill") for each in self._own_directories(own)]
        known = [count for count in counts if count is not None]  # not before Linux 4.13
        return sum(known) if known else None

    def resident(self) -> "Optional[int]":
        """Bytes of memory that the job's own group holds and cannot give back; what is shared counts once."""
        place = self._places.get("memory")
        own = self._own_in("memory")
        if place is None or not own:
            return None
        table = _table(own + "/memory.stat")
        if place.is_unified:
            parts = [table.get(name) for name in (b"anon", b"shmem", b"file_mapped")]
        else:
            parts = [table.get(name) for name in (b"total_rss", b"total_shmem", b"total_mapped_file")]
        return None if parts[0] is None else sum(part or 0 for part in parts)

    def cpu_seconds(self) -> "Optional[float]":
        """What the job's own group has used so far."""
        if not self.own:
            return None
        own = self._own_in("cpuacct")
        if own:
            used = _number(own + "/cpuacct.usage")
            return None if used is None else used / 1e9
        own = self._own_in("")
        used = _table(own + "/cpu.stat").get(b"usage_usec") if own else None
        return None if used is None else used / 1e6

    def figures(self, processes: int) -> "Dict[str, Optional[float]]":
        """What the groups limit and count, as verbs send it; None is not known, or not of the job alone.

        Args:
            processes: of the job, now.
        """
        limit = self.limit()
        space = address_space(self._pid) if limit is None else None
        found: "Dict[str, Optional[float]]" = {
            "memory_limit": least(limit, space, processes),  # bytes
            "memory": None,  # bytes now, with the files it has in memory
            "memory_peak": None,  # bytes
            "oom_kills": self.oom_kills(),
            "cpu_limit": None,  # processors; the least of all groups above
            "throttled": None,  # periods in which a group above had used up its processors, since it exists
            "throttled_seconds": None,  # that all its processors were held up then
        }
        own, place = self._own_in("memory"), self._places.get("memory")
        if own and place:
            found["memory"] = _number(own + ("/memory.current" if place.is_unified else "/memory.usage_in_bytes"))
            peak = "/memory.peak" if place.is_unified else "/memory.max_usage_in_bytes"
            found["memory_peak"] = _number(own + peak)
        self._add_processors(found)
        return found

    def _add_processors(self, found: "Dict[str, Optional[float]]") -> None:
        place = self._places.get("cpu")
        limits: "List[float]" = []
        for directory in place.directories() if place else ():
            limits.extend(_quota(directory, place is not None and place.is_unified))
            table = _table(directory + "/cpu.stat")
            periods = table.get(b"nr_throttled")
            if periods is not None and periods >= (found["throttled"] or 0):
                found["throttled"] = periods
                seconds = table.get(b"throttled_usec", 0) / 1e6 + table.get(b"throttled_time", 0) / 1e9
                found["throttled_seconds"] = round(seconds, 3)
        found["cpu_limit"] = min(limits) if limits else None

    def _find_own(self) -> "Tuple[str, str]":
        for tracker in _TRACKERS:
            place = self._places.get(tracker)
            if place is not None and place.path and not _is_shared(place.path):
                path = _named(place.path) or (place.path if self._is_alone(tracker, place) else "")
                if path:
                    return place.mount + path, tracker
        return "", ""

    def _is_alone(self, tracker: str, place: _Place) -> bool:
        """Whether the job was put into the group by a parent that is not in it, and nobody else is."""
        top = read_process(self._top)
        # A process whose parent has gone has been given to process 1, which proves nothing.
        if top is None or top.ppid <= 1:
            return False
        of_parent = _places(top.ppid).get(tracker)
        if of_parent is None or (of_parent.path + "/").startswith(place.path + "/"):
            return False
        inside = _pids(place.mount + place.path)
        return top.pid in inside and all(self._is_of_job(pid) for pid in inside)

    def _is_of_job(self, pid: int) -> bool:
        """Whether a process descends from the job or is the agent's, or has gone."""
        process = read_process(pid)
        if process is None or process.group == self._group:
            return True
        for _ in range(_FOREBEARS):
            if process is None or process.pid == self._top:
                return process is not None
            process = read_process(process.ppid)
        return False

    def _own_in(self, controller: str) -> str:
        """The job's own directory in the hierarchy of a controller, "" where it is not there."""
        place, tracker = self._places.get(controller), self._places.get(self._tracker)
        if not self.own or place is None or tracker is None:
            return ""
        path = self.own[len(tracker.mount) :]
        return place.mount + path if (place.path + "/").startswith(path + "/") else ""

    def _own_directories(self, top: str) -> "Iterator[str]":
        """The job's own directory and those below, at most ``_GROUPS``."""
        waiting = [(top, 0)] if top else []
        for _ in range(_GROUPS):
            if not waiting:
                return
            directory, depth = waiting.pop()
            yield directory
            try:
                # Links beyond two are the groups below; most have none, and so are not listed.
                if depth < _DEEPEST and os.stat(directory).st_nlink > 2:
                    entries = sorted(
                        entry.path for entry in os.scandir(directory) if entry.is_dir(follow_symlinks=False)
                    )
                    waiting.extend((entry, depth + 1) for entry in entries)
            except OSError:  # the batch system has taken it away
                pass


def least(limit: "Optional[int]", space: "Optional[int]", processes: int) -> "Optional[int]":
    """Bytes of memory a job may have: what its groups allow, else what all its processes may map."""
    if limit is None and space is not None:
        return min(space * max(1, processes), INTEGER)
    return limit


def address_space(pid: int) -> "Optional[int]":
    """Bytes of memory one process may map (RLIMIT_AS), or None where that is not limited."""
    for line in read_file("/proc/%d/limits" % pid, _FILE_BYTES).splitlines():
        if line.startswith(b"Max address space"):
            value = line.split()[3]
            return int(value) if value.isdigit() else None
    return None


def _places(pid: int) -> "Dict[str, _Place]":
    """The groups of a process by the controllers of each hierarchy; "" is version 2 itself."""
    found: "Dict[str, _Place]" = {}
    mounts = _mounts()
    for line in read_file("/proc/%d/cgroup" % pid, _FILE_BYTES).splitlines():
        number, _, rest = os.fsdecode(line).partition(":")
        controllers, _, path = rest.partition(":")
        is_unified = number == "0" and not controllers
        root, mount = mounts.get("" if is_unified else controllers.split(",")[0], ("", ""))
        if not mount or "/.." in path or not (path + "/").startswith(root.rstrip("/") + "/"):
            continue  # not mounted here, or outside of what this container shows
        place = _Place(mount, path[len(root.rstrip("/")) :].rstrip("/"), is_unified)
        for controller in controllers.split(","):
            found[controller] = place
    unified = found.get("")
    if unified is not None:
        for controller in ("memory", "cpu"):
            found.setdefault(controller, unified)
    return found


def _mounts() -> "Dict[str, Tuple[str, str]]":
    """Where each hierarchy is mounted: root within the hierarchy and directory, by controller."""
    found: "Dict[str, Tuple[str, str]]" = {}
    for line in read_file("/proc/self/mountinfo", _MOUNTS_BYTES).splitlines():
        if b" cgroup" not in line:
            continue
        fields, _, rest = os.fsdecode(line).partition(" - ")
        root, directory = (fields.split(" ") + 5 * [""])[3:5]
        kind, _, options = rest.partition(" ")
        if kind == "cgroup2":
            found.setdefault("", (root, directory))
        elif kind == "cgroup":
            for option in options.rpartition(" ")[2].split(","):
                found.setdefault(option, (root, directory))
    return found


def _named(path: str) -> str:
    """The path up to the part that names the job, or "" where none does."""
    variable, is_name = next((row for row in _NAMES if os.environ.get(row[0])), ("", None))
    parts = path.split("/")
    for at, part in enumerate(parts):
        if is_name is not None and is_name(part, os.environ[variable]):
            return "/".join(parts[: at + 1])
    return ""


def _is_shared(path: str) -> bool:
    parts = path.split("/")
    return any(part in _SHARED or (part.startswith("session-") and part.endswith(".scope")) for part in parts)


def _quota(directory: str, is_unified: bool) -> "List[float]":
    """The processors a group may use, if that is limited."""
    if is_unified:
        fields = read_file(directory + "/cpu.max", _FILE_BYTES).split()
        quota, period = fields if len(fields) == 2 else (b"", b"")
    else:
        quota = read_file(directory + "/cpu.cfs_quota_us", _FILE_BYTES).strip()
        period = read_file(directory + "/cpu.cfs_period_us", _FILE_BYTES).strip()
    return [int(quota) / int(period)] if quota.isdigit() and period.isdigit() and int(period) else []


def _pids(directory: str) -> "List[int]":
    return [int(pid) for pid in read_file(directory + "/cgroup.procs", _PIDS_BYTES).split()]


def _number(path: str) -> "Optional[int]":
    value = read_file(path, _FILE_BYTES).strip()
    return int(value) if value.isdigit() else None


def _table(path: str) -> "Dict[bytes, int]":
    lines = (line.split() for line in read_file(path, _FILE_BYTES).splitlines())
    return {fields[0]: int(fields[1]) for fields in lines if len(fields) == 2 and fields[1].isdigit()}

"""The registry: every job the server knows, and who is told when one changes.

Jobs are found by uuid, id, realm, node and state.  The registry moves a job from
state to state; it asks nobody's permission and writes nothing down.  A watcher
is told the uuids that changed, and only those that its scope may hold.

Every change has a number.  A reader who knows of all changes up to one is told
what has changed since then, as long as no job was forgotten that long ago.
"""

from __future__ import annotations

import secrets
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from jobmon_server.indexes import Deadlines, Groups, Randoms, Sorted
from jobmon_server.jobs import Job
from jobmon_server.newest import Newest
from jobmon_server.packing import SLOT_AT, read_slot
from jobmon_server.peer import Peer
from jobmon_server.policy import sees
from jobmon_server.realms import Realm
from jobmon_server.references import MEANT, the_one
from jobmon_server.texts import Texts
from jobmon_wire.jobs import ALIVE, ENDED, LOST, RUNNING, SILENT

FORGOTTEN = 10_000  # jobs whose going is remembered, for readers who come back
RECHECK = 60.0  # s; a job is looked at so often at least, since a site may change what silence means
SPREAD = 16  # s; jobs that became known together, as at a start, are not looked at together
REVIEWED = 5000  # jobs looked at in one review, 20 ms: when a whole site falls silent the others wait for the next

OWNER, CLUSTER = "owner", "cluster"


class Scope(NamedTuple):
    """A group of jobs that is found without looking at the others."""

    kind: str  # OWNER or CLUSTER
    key: Any  # the owner's name, or the cluster


class Changes(NamedTuple):
    """What has changed since a moment."""

    jobs: list[Job]
    gone: list[str]  # uuids of jobs that were forgotten


Listener = Callable[[str], None]  # is told the uuid of a job that changed


def scopes_of(peer: Peer) -> list[Scope]:
    """Where all jobs are that the peer may see; policy decides on each realm."""
    return [Scope(OWNER, peer.name), *(Scope(CLUSTER, cluster) for cluster in peer.clusters)]


def may_see(peer: Peer, realm: Realm) -> bool:
    """Whether the realm's jobs exist for the peer, as policy decides."""
    return sees(peer, realm.owner_rdns, realm.cluster)


class Registry:
    """All jobs, by whatever they are looked for.

    Args:
        opened: s since 1970; a job's silence counts from here at the earliest,
            since a server that was not there has heard nobody.

    Attributes:
        epoch: names this registry: numbers of changes mean nothing in another.
        change: number of the last change.
        unsaved: uuids of jobs with facts that the store does not have; what
            beats bring is not among them.
    """

    def __init__(self, opened: float = 0.0) -> None:
        self._opened = opened
        self._hashes = Randoms("I")  # of uuids; the number behind a job's slot is found by it
        self._slots: list[Job | None] = []
        self._free: list[int] = []
        self._realms: dict[Scope, dict[Realm, None]] = {}
        self.by_realm: Groups[Realm] = Groups()
        self.by_node: Groups[str] = Groups()
        self.by_state: Groups[str] = Groups()
        self.by_id: Sorted[bytes] = Sorted(lambda slot: _id(self.at(slot)))
        self.by_uuid: Sorted[str] = Sorted(lambda slot: self.at(slot).uuid)
        self.newest = Newest(self.by_realm.of, self.jobs)
        self._deadlines = Deadlines()
        self.texts = Texts(lambda job: self._holds(job, job.slot))
        self._kept = self.texts.kept
        self._listeners: dict[Scope, dict[Listener, None]] = {}
        self._told: dict[Realm, tuple[Listener, ...]] = {}  # who listens, as last looked up
        self.epoch = secrets.token_hex(8)
        self.change = 0
        self._changes = array("Q")  # by slot: number of its last change
        self._gone: deque[tuple[int, Realm, str]] = deque(maxlen=FORGOTTEN)
        self._known_since = 0  # the last change that made the going of a job be forgotten
        self._beaten = bytearray()  # by slot: whether a beat has brought what is not saved
        self.unsaved: set[str] = set()

    def __len__(self) -> int:
        return len(self._hashes)

    def __iter__(self) -> Iterator[Job]:
        return iter([job for job in self._slots if job is not None])

    def get(self, uuid: str) -> Job | None:
        """The job, whoever asks."""
        behind = self._hashes.find(_hash(uuid))
        job = self._slots[behind - 1] if behind else None
        if job is None or job.uuid == uuid:
            return job
        # Of 100,000 jobs two or four share their hash with another.
        return next((job for job in self.jobs(self.by_uuid.beginning(uuid)) if job.uuid == uuid), None)

    def at(self, slot: int) -> Job:
        """The job in a slot that an index has named."""
        job = self._slots[slot]
        if job is None:
            raise LookupError(f"no job is in slot {slot}")
        return job

    def jobs(self, slots: Iterable[int]) -> list[Job]:
        """The jobs in slots that an index has named."""
        every = self._slots
        return [job for slot in slots if (job := every[slot]) is not None]

    # What comes, goes and changes

    def add(self, job: Job) -> None:
        """Take a job in."""
        self._file(job)
        self.by_id.put(job.slot)
        self.by_uuid.put(job.slot)
        self.newest.add(job)
        self.changed(job)

    def fill(self, jobs: Iterable[Job]) -> None:
        """Take in the jobs that a store has kept, before anybody listens."""
        for job in jobs:
            self._file(job)
            if job.state in ALIVE:
                self._deadlines.put(job.slot, self._opened + job.slot % SPREAD)
        self.by_id.fill(job.slot for job in sorted(self, key=lambda job: job.packed))
        self.by_uuid.fill(job.slot for job in sorted(self, key=lambda job: job.uuid))

    def remove(self, uuid: str) -> None:
        """Forget a job."""
        if (job := self.get(uuid)) is None:
            return
        slot = job.slot
        self._hashes.take(slot + 1)
        for index in (self.by_id, self.by_uuid, self.by_realm, self.by_node, self.by_state, self._deadlines):
            index.take(slot)
        self._slots[slot] = None
        self._free.append(slot)
        self.newest.take(job)
        self.texts.drop(job)
        self.unsaved.discard(uuid)
        self.change += 1
        if len(self._gone) == self._gone.maxlen:
            self._known_since = self._gone[0][0]
        self._gone.append((self.change, job.realm, uuid))
        self._tell(job)
        if not self.by_realm.count(job.realm):
            self._drop(job.realm)

    def changed(self, job: Job) -> None:
        """Tell that something of a job is different, and is worth saving."""
        if self._holds(job, slot := job.slot):
            self.unsaved.add(job.uuid)
            if job.state in ALIVE:
                self._deadlines.put(slot, 0.0)  # what silence means for it may be different, too
            self._notice(job, slot)

    def felt(self, job: Job) -> None:
        """Tell that a beat has brought something; the next one will bring it again.

        Of node and state, which beats do not change, the indexes are not told: that is what ``changed`` is for.
        """
        (slot,) = read_slot(job.packed, SLOT_AT)
        if slot < len(self._slots) and self._slots[slot] is job:  # ``_holds``, for each beat
            self._beaten[slot] = True
            self._number(job, slot)

    def beaten(self) -> list[str]:
        """The uuids of jobs of which beats have brought what is not saved; they count as saved then."""
        slots = [slot for slot, is_beaten in enumerate(self._beaten) if is_beaten]
        self._beaten = bytearray(len(self._beaten))
        return [job.uuid for slot in slots if (job := self._slots[slot]) is not None]

    def _holds(self, job: Job, slot: int) -> bool:
        """Whether it is this very job that is there: its copies name the same slot, and so does one that is gone."""
        return slot < len(self._slots) and self._slots[slot] is job

    def _file(self, job: Job) -> None:
        slot = self._free.pop() if self._free else len(self._slots)
        if slot == len(self._slots):
            self._slots.append(None)
            self._changes.append(0)
            self._beaten.append(False)
        job.slot = slot
        self._slots[slot] = job
        self._hashes.put(slot + 1, _hash(job.uuid))
        if not self.by_realm.count(job.realm):
            for scope in _scopes_of_realm(job.realm):
                self._realms.setdefault(scope, {})[job.realm] = None
        self.by_realm.put(slot, job.realm)
        self.by_node.put(slot, job.node)
        self.by_state.put(slot, job.state)
        self._beaten[slot] = False

    def _drop(self, realm: Realm) -> None:
        for scope in _scopes_of_realm(realm):
            realms = self._realms[scope]
            del realms[realm]
            if not realms:
                del self._realms[scope]
        self._told.pop(realm, None)

    def _notice(self, job: Job, slot: int) -> None:
        if self.by_node.value(slot) != job.node:
            self.by_node.put(slot, job.node)
        if self.by_state.value(slot) != job.state:
            self.by_state.put(slot, job.state)
        self.newest.note(job)
        self._number(job, slot)

    def _number(self, job: Job, slot: int) -> None:
        for kept in self._kept:  # ``Texts.drop``, for each beat
            kept.pop(id(job), None)
        self.change = self._changes[slot] = self.change + 1
        if self._listeners:
            self._tell(job)

    # Who is told

    def listen(self, scopes: Iterable[Scope], listener: Listener) -> None:
        """Have a listener told of changes in the scopes."""
        for scope in scopes:
            self._listeners.setdefault(scope, {})[listener] = None
        self._told.clear()

    def leave(self, scopes: Iterable[Scope], listener: Listener) -> None:
        """Tell the listener no more."""
        for scope in scopes:
            listeners = self._listeners.get(scope, {})
            listeners.pop(listener, None)
            if not listeners:
                self._listeners.pop(scope, None)
        self._told.clear()

    def since(self, peer: Peer, change: int) -> Changes | None:
        """What has changed for a peer after a change; None where that is not known any more."""
        if not self._known_since <= change <= self.change:
            return None
        slots = (slot for realm in self.realms(peer) for slot in self.by_realm.of(realm))
        gone = ((realm, uuid) for number, realm, uuid in self._gone if number > change)
        return Changes(
            [self.at(slot) for slot in slots if self._changes[slot] > change],
            [uuid for realm, uuid in gone if may_see(peer, realm)],
        )

    def _tell(self, job: Job) -> None:
        listeners = self._told.get(job.realm)
        if listeners is None:
            each = (self._listeners.get(scope, ()) for scope in _scopes_of_realm(job.realm))
            listeners = self._told[job.realm] = tuple(dict.fromkeys(listener for found in each for listener in found))
        for listener in listeners:
            listener(job.uuid)

    # Who sees what

    def realms(self, peer: Peer) -> list[Realm]:
        """The realms whose jobs the peer may see, as policy decides on each."""
        found = dict.fromkeys(realm for scope in scopes_of(peer) for realm in self._realms.get(scope, ()))
        return [realm for realm in found if may_see(peer, realm)]

    def visible(self, peer: Peer) -> list[Job]:
        """The jobs that the peer may see."""
        return [job for realm in self.realms(peer) for job in self.jobs(self.by_realm.of(realm))]

    def resolve(self, peer: Peer, reference: str) -> Job:
        """The one job of the peer's that a reference means.

        An exact uuid or id comes before a prefix of either.

        Raises:
            RefusedError: ``no-such-job``, or ``ambiguous-job`` with candidates.
        """
        realms = set(self.realms(peer))
        exact = self.get(reference)
        if exact is not None and exact.realm in realms:
            return exact
        if not reference or "\0" in reference:  # which ends an id among the packed
            return the_one([])
        named = self._among(realms, self.by_id.beginning(_bytes(reference) + b"\0"))
        return the_one(list(named) or self._beginning(realms, reference))

    def _beginning(self, realms: set[Realm], prefix: str) -> list[Job]:
        """Jobs of the realms whose id or uuid begins so, at most ``MEANT``."""
        text = _bytes(prefix)
        slots = self.by_id.beginning(text) + self.by_uuid.beginning(prefix)
        if len(slots) <= sum(map(self.by_realm.count, realms)):
            found = self._among(realms, dict.fromkeys(slots))
        else:  # nobody waits for the others' jobs to be passed over
            own = (self.at(slot) for realm in realms for slot in self.by_realm.of(realm))
            found = (job for job in own if job.packed.startswith(text) or job.uuid.startswith(prefix))
        return list(islice(found, MEANT))

    def _among(self, realms: set[Realm], slots: Iterable[int]) -> Iterator[Job]:
        return (job for job in map(self.at, slots) if job.realm in realms)

    # Signs of life

    def seen(self, job: Job, now: float) -> bool:
        """Note a sign of life; true where the job had been silent or lost."""
        job.last_seen = now
        returned = job.state in (SILENT, LOST)
        if returned:
            job.state = RUNNING
            job.examine(now)
            self.changed(job)
        else:
            self.felt(job)
        return returned

    def listen_anew(self, now: float) -> None:
        """Count silence from this moment: before it nobody was heard, or by another clock."""
        self._opened = now
        for slot in [slot for state in ALIVE for slot in self.by_state.of(state)]:
            job = self.at(slot)
            if job.last_seen > now:
                job.last_seen = now
                self.felt(job)
            self._deadlines.put(slot, now + slot % SPREAD)

    def silence(self, job: Job, now: float) -> float:
        """Seconds since the job's last sign of life."""
        return now - max(job.last_seen, self._opened)

    def review(self, now: float, silent_after: Callable[[Job], float], lost_after: float) -> list[Job]:
        """Turn jobs without a sign of life silent, and lost; give those that turned.

        It looks at those alone that may be due: a beat costs nothing here.
        """
        turned = []
        for slot in self._deadlines.due(now, REVIEWED):
            job = self.at(slot)
            if job.state not in ALIVE:
                continue
            silence, patience = self.silence(job, now), silent_after(job)
            left = patience - silence
            if left <= 0:
                if self._turn(job, LOST if silence >= lost_after else SILENT, now):
                    turned.append(job)
                    self.unsaved.add(job.uuid)
                    self._notice(job, slot)
                if job.state not in ALIVE:
                    continue
                left = max(lost_after - silence, 0.0)
            self._deadlines.put(slot, now + min(left, RECHECK - slot % SPREAD))
        return turned

    def _turn(self, job: Job, state: str, now: float) -> bool:
        if job.state == state:
            return False
        job.state, job.callback = state, None
        job.examine(now)
        return True

    def outlived(self, before: float) -> list[str]:
        """The uuids of jobs that are over and were last heard of before a moment."""
        # By our own clock: what an agent says of a job's end may be any moment.
        over = (self.at(slot) for state in (ENDED, LOST) for slot in self.by_state.of(state))
        return [job.uuid for job in over if job.last_seen < before]


def _scopes_of_realm(realm: Realm) -> tuple[Scope, Scope]:
    return Scope(OWNER, realm.owner_rdns), Scope(CLUSTER, realm.cluster)


def _id(job: Job) -> bytes:
    return job.packed[: job.packed.index(0) + 1]


def _hash(uuid: str) -> int:
    """A number of 32 bits; nobody who chooses the uuid knows it, since Python's hashes are of each process's own."""
    return hash(uuid) & 2**32 - 1


def _bytes(reference: str) -> bytes:
    return reference.encode("utf-8", "surrogatepass")

"""A selection finds by indexes just what a look at every job finds, and never one job more than policy allows."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon_server import listing
from jobmon_server.jobs import Job
from jobmon_server.peer import Peer
from jobmon_server.policy import sees
from jobmon_server.public import public
from jobmon_server.registry import Registry
from jobmon_server.selection import Selection
from jobmon_wire.matching import compile_selector
from jobmon_wire.selectors import parse_selector
from tests.server.house import a_job, person

NOW = 10_000.0

OWNERS, CLUSTERS, NODES = ("alice", "alice2", "bob"), ("caf", "caf2", "desy"), ("wn1", "wn10", "wn2", "")
PEERS = [person("alice"), person("bob"), person("adam", "caf"), person("eve", "desy", "caf2"), person("mallory")]

TESTS = st.one_of(
    st.builds(
        "{}{}{}".format, st.just("owner"), st.sampled_from([":", "=", "!="]), st.sampled_from([*OWNERS, "me", "al*"])
    ),
    st.builds(
        "{}{}{}".format, st.just("cluster"), st.sampled_from([":", "=", "!="]), st.sampled_from([*CLUSTERS, "caf*"])
    ),
    st.builds(
        "{}{}{}".format, st.just("node"), st.sampled_from([":", "=", "!="]), st.sampled_from(["wn1", "wn1*", "WN2,x"])
    ),
    st.builds(
        "{}{}{}".format, st.just("state"), st.sampled_from([":", "=", "!="]), st.sampled_from(["run", "ended", "lost"])
    ),
    st.sampled_from(
        ["wn1", "alice", "mem>1M", "age>1h", "id:1", "exit=0", "tag.k:v", "cmd:sleep", "health:ok", "array:7"]
    ),
)
SELECTORS = st.recursive(
    TESTS,
    lambda inner: st.one_of(
        st.builds("-({})".format, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("{} {}".format, inner, inner),
        st.builds("{} {} {}".format, inner, inner, inner),
    ),
    max_leaves=5,
)


@st.composite
def jobs(draw: st.DrawFn, uuid: str) -> Job:
    """A job of somebody's, in some state."""
    job = a_job(
        uuid, draw(st.sampled_from(["1", "11", "2"])), draw(st.sampled_from(OWNERS)), draw(st.sampled_from(CLUSTERS))
    )
    job.node, job.state = draw(st.sampled_from(NODES)), draw(st.sampled_from(["running", "silent", "lost", "ended"]))
    job.started, job.rss_bytes = draw(st.sampled_from([None, 1000.0, 9000.0])), draw(st.sampled_from([None, 1, 2**21]))
    job.tell("n", draw(st.sampled_from(["sleep 1", "true"])), {"array": "7_1"}, draw(st.sampled_from([{}, {"k": "v"}])))
    if job.state == "ended":
        job.exit = {"code": draw(st.integers(0, 1)), "signal": None, "core": False, "source": "wrap"}
    return job


@st.composite
def registries(draw: st.DrawFn) -> Registry:
    """A registry in which jobs came, changed and went."""
    registry = Registry()
    for number in range(draw(st.integers(0, 12))):
        registry.add(draw(jobs(f"u{number}")))
    for job in list(registry):
        what = draw(st.sampled_from(["stays", "stays", "changes", "goes"]))
        if what == "goes":
            registry.remove(job.uuid)
        if what == "changes":
            job.node, job.state = draw(st.sampled_from(NODES)), draw(st.sampled_from(["running", "ended"]))
            registry.changed(job)
    return registry


def looked_at_every(registry: Registry, peer: Peer, selector: str) -> set[str]:
    """The uuids of the jobs that are visible and match, without any index."""
    wanted = compile_selector(parse_selector(selector), peer.holder, lambda: NOW)
    visible = [job for job in registry if sees(peer, job.owner_rdns, job.cluster)]
    return {job.uuid for job in visible if wanted(json.loads(json.dumps(public(job))))}


@given(registries(), st.sampled_from(PEERS), SELECTORS)
def test_indexes_find_what_a_look_at_every_job_finds(registry: Registry, peer: Peer, selector: str) -> None:
    found = asyncio.run(listing.select(registry, Selection(selector, peer, lambda: NOW)))

    uuids = [job.uuid for job in found]
    assert set(uuids) == looked_at_every(registry, peer, selector)
    assert len(uuids) == len(set(uuids))
    wants = Selection(selector, peer, lambda: NOW).wants
    assert {job.uuid for job in registry.visible(peer) if wants(job)} == set(uuids)


@pytest.mark.parametrize(
    "selector", ["", "node:wn1", "state:ended", "owner:bob", "cluster:desy", "state:ended or node:wn2"]
)
@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.owner)
def test_no_index_shows_a_job_that_policy_does_not(peer: Peer, selector: str) -> None:
    registry = Registry()
    for number, (owner, cluster, node, state) in enumerate(
        (owner, cluster, node, state)
        for owner in OWNERS
        for cluster in CLUSTERS
        for node in NODES
        for state in ("running", "ended")
    ):
        job = a_job(f"u{number}", "1", owner, cluster, state)
        job.node = node
        registry.add(job)

    found, _ = Selection(selector, peer).candidates(registry)
    naive = [registry.at(slot) for node in registry.by_node for slot in registry.by_node.of(node)]

    assert all(sees(peer, job.owner_rdns, job.cluster) for job in found)
    assert not all(sees(peer, job.owner_rdns, job.cluster) for job in naive), "an index alone would show too much"


def test_a_selector_that_names_a_node_looks_at_that_nodes_jobs_alone() -> None:
    registry = Registry()
    for number in range(300):
        job = a_job(f"u{number}", "1", "alice", "caf", "ended" if number == 5 else "running")
        job.node = f"wn{number % 100:03d}"
        registry.add(job)

    looked: dict[str, Any] = {}
    for selector in ("node=wn007", "node:wn007 mem>1G", "state:ended", "owner:me cluster:caf", "owner:bob", "mem>1G"):
        found, rest = Selection(selector, person("alice")).candidates(registry)
        looked[selector] = (len(found), rest is None)

    assert looked == {
        "node=wn007": (3, True),
        "node:wn007 mem>1G": (3, False),
        "state:ended": (1, True),
        "owner:me cluster:caf": (300, True),
        "owner:bob": (0, True),
        "mem>1G": (300, False),
    }

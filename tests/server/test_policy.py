"""Authority is equality with the name stored at issue, or a cluster in an administrator's certificate; nothing else."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon_pki.names import Name, parse
from jobmon_pki.profiles import ADMIN, JOB, OWNER, SERVER
from jobmon_server.peer import Peer
from jobmon_server.policy import permits, sees
from jobmon_wire.verbs import EXEC, PERMISSIONS

ALICE = parse("/DC=org/DC=example/OU=People/CN=alice")
LIKE_ALICE = [
    parse("/DC=org/DC=example/OU=People/CN=alice2"),
    parse("/DC=org/DC=example/OU=People/CN=Alice"),
    parse("/DC=org/DC=example/OU=People"),
    parse("/DC=org/DC=example/OU=People/CN=alice/CN=job"),
    parse("/OU=People/DC=example/DC=org/CN=alice"),
    parse("/DC=org/DC=example/CN=alice"),
    (),
]
PEER = Peer(
    role=OWNER,
    name=ALICE,
    owner="alice",
    holder="/DC=org/DC=example/OU=People/CN=alice",
    fingerprint="ab" * 32,
    serial="01",
    not_after=2e9,
    uuid="",
    clusters=(),
    source="127.0.0.1:1",
)


ADMINISTRATOR = replace(PEER, role=ADMIN, name=parse("/DC=org/OU=People/CN=root"), clusters=("caf",))
WITHOUT_SHELLS = set(PERMISSIONS) - {EXEC}


def test_an_owner_has_every_permission_on_her_own_job_but_for_what_takes_the_sites_word() -> None:
    assert all(permits(PEER, permission, ALICE, "caf") for permission in WITHOUT_SHELLS)
    assert not permits(PEER, EXEC, ALICE, "caf")


@pytest.mark.parametrize(
    ("shells", "owner", "administrator"),
    [("off", False, False), ("owner", True, False), ("all", True, True), ("", False, False), ("yes", False, False)],
)
def test_a_shell_takes_the_sites_word(shells: str, owner: bool, administrator: bool) -> None:
    assert permits(PEER, EXEC, ALICE, "caf", shells) == owner
    assert permits(ADMINISTRATOR, EXEC, ALICE, "caf", shells) == administrator
    assert not permits(ADMINISTRATOR, EXEC, ALICE, "desy", shells)
    assert permits(replace(ADMINISTRATOR, name=ALICE), EXEC, ALICE, "desy", shells) == owner
    assert not any(permits(replace(PEER, name=other), EXEC, ALICE, "caf", shells) for other in LIKE_ALICE)
    assert not permits(replace(PEER, role=JOB), EXEC, ALICE, "caf", shells)


@pytest.mark.parametrize("owner", LIKE_ALICE)
def test_a_name_that_is_merely_like_the_owners_gives_nothing(owner: Name) -> None:
    assert not sees(PEER, owner, "caf")
    assert not sees(replace(PEER, name=owner), ALICE, "caf")


def test_an_administrator_reaches_the_jobs_of_the_clusters_in_the_certificate_alone() -> None:
    assert all(permits(ADMINISTRATOR, permission, ALICE, "caf") for permission in WITHOUT_SHELLS)
    assert not any(sees(ADMINISTRATOR, ALICE, cluster) for cluster in ("desy", "ca", "caf2", "CAF", ""))


def test_clusters_count_only_with_the_role_of_an_administrator() -> None:
    assert not sees(replace(PEER, name=LIKE_ALICE[0], clusters=("caf",)), ALICE, "caf")


def test_an_administrator_keeps_her_own_jobs_elsewhere() -> None:
    assert sees(replace(PEER, role=ADMIN, clusters=("caf",)), ALICE, "desy")


def test_jobs_and_servers_reach_nothing() -> None:
    for role, name in itertools.product((JOB, SERVER, "", "root"), (ALICE, (*ALICE, ("2.5.4.3", "job")))):
        assert not sees(replace(PEER, role=role, name=name, clusters=("caf",)), ALICE, "caf")


def test_an_unknown_permission_is_nobodys() -> None:
    assert not permits(PEER, "reboot", ALICE, "caf")
    assert not permits(PEER, "", ALICE, "caf")


_NAMES = st.lists(st.tuples(st.sampled_from(["2.5.4.3", "2.5.4.11"]), st.sampled_from(["a", "b", "ab"])), max_size=4)


@given(_NAMES, _NAMES)
def test_of_any_two_names_only_equal_ones_open(mine: list[tuple[str, str]], theirs: list[tuple[str, str]]) -> None:
    assert sees(replace(PEER, name=tuple(mine)), tuple(theirs), "caf") == (mine == theirs and bool(mine))

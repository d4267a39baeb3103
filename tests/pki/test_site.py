"""A site is there whole or not at all, its keys are private, and what it hands out is recorded first."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from jobmon_pki import keys, names, profiles
from jobmon_pki.authority import AuthorityError
from jobmon_pki.ledger import Ledger, LedgerError
from jobmon_pki.names import DistinguishedNameError, Name
from jobmon_pki.profiles import DAY, HOUR, read_identity
from jobmon_pki.site import Site, SiteError, default_base, default_domain
from jobmon_wire.credential import parse_credential

URLS = "https://localhost:8443", "https://localhost:8444"
DerOf = Callable[[str], bytes]


def test_a_site_is_opened_as_it_was_made(site: Site, base: Name) -> None:
    opened = Site.open(site.directory)

    assert (opened.cluster, opened.domain, opened.base) == ("caf", "example.org", base)
    assert (opened.users_url, opened.agents_url) == URLS


def test_nobody_else_can_read_a_site(site: Site) -> None:
    modes = {path: path.stat().st_mode & 0o777 for path in [site.directory, *site.directory.rglob("*")]}

    assert len([path for path in modes if path.suffix == ".key"]) == 5
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


def test_the_keys_are_private_whatever_the_umask(tmp_path: Path, base: Name, now: float) -> None:
    before = os.umask(0)
    try:
        made = Site.create(tmp_path / "b", ["localhost"], "caf", base, *URLS, now)
    finally:
        os.umask(before)

    assert all(path.stat().st_mode & 0o077 == 0 for path in [made.directory, *made.directory.rglob("*")])


def test_a_site_is_never_overwritten(site: Site, base: Name, now: float, tmp_path: Path) -> None:
    key = site.job_ca_key.read_bytes()
    (tmp_path / "file").write_text("x")

    for target in (site.directory, tmp_path / "file", tmp_path):
        with pytest.raises(SiteError, match="not an empty directory"):
            Site.create(target, ["localhost"], "caf", base, *URLS, now)
    assert site.job_ca_key.read_bytes() == key


def test_an_empty_directory_becomes_a_site(tmp_path: Path, base: Name, now: float) -> None:
    (tmp_path / "empty").mkdir()

    assert Site.create(tmp_path / "empty", ["localhost"], "caf", base, *URLS, now).server_key.is_file()


def test_a_site_that_fails_half_way_leaves_nothing(
    tmp_path: Path, base: Name, now: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise LedgerError("no space is left")

    monkeypatch.setattr("jobmon_pki.founding.Ledger", fail)

    with pytest.raises(LedgerError):
        Site.create(tmp_path / "half", ["localhost"], "caf", base, *URLS, now)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("hosts", "cluster", "base_text", "url", "says"),
    [
        ([], "caf", "/DC=org", URLS[0], "needs a host name"),
        (["a b"], "caf", "/DC=org", URLS[0], "neither a host name nor an address"),
        (["localhost"], "c a f", "/DC=org", URLS[0], "name of a cluster"),
        (["localhost"], "", "/DC=org", URLS[0], "name of a cluster"),
        (["localhost"], "caf", "/DC=org/CN=x", URLS[0], "holds a CN"),
        (["localhost"], "caf", "/DC=a_b", URLS[0], "make no domain"),
        (["localhost"], "caf", "/O=x" * 14, URLS[0], "17 attributes"),
        (["localhost"], "caf", "/DC=org", "http://localhost", "no address of a server"),
        (["localhost"], "caf", "/DC=org", "https://local host", "no address of a server"),
    ],
)
def test_a_site_that_could_not_serve_is_not_made(
    tmp_path: Path, now: float, hosts: list[str], cluster: str, base_text: str, url: str, says: str
) -> None:
    with pytest.raises((SiteError, AuthorityError), match=says):
        Site.create(tmp_path / "s", hosts, cluster, names.parse(base_text), url, URLS[1], now)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["site.toml", "server.pem", "server-ca.pem", "people-ca.pem", "job-ca.pem"])
def test_an_incomplete_site_says_what_is_missing(site: Site, name: str) -> None:
    (site.directory / name).unlink()

    with pytest.raises(SiteError, match=f"no {name};"):
        Site.open(site.directory)


@pytest.mark.parametrize("text", ["cluster = ", "cluster = 3", "", "\x00", 'base = "alice"'])
def test_settings_that_are_not_a_sites_are_refused(site: Site, text: str) -> None:
    site.settings_path.write_text(text)

    with pytest.raises(SiteError, match="restore it from a backup"):
        Site.open(site.directory)


def test_a_base_that_is_no_name_is_refused(site: Site) -> None:
    text = site.settings_path.read_text()
    site.settings_path.write_text(text.replace("/DC=org", "DC=org"))

    with pytest.raises(SiteError, match="the base in"):
        Site.open(site.directory)


def test_a_place_that_is_no_site_is_told_how_to_become_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path, tmp_path / "none", tmp_path / "file"):
        with pytest.raises(SiteError, match="make one with jobmon server --init"):
            Site.open(place)


def test_a_persons_credential_is_complete_and_recorded(site: Site, now: float, der_of: DerOf) -> None:
    credential = site.issue_person("alice", (), None, now)

    assert (credential.server, credential.role, credential.cluster) == (URLS[0], "owner", "caf")
    assert credential.holder == "/DC=org/DC=example/O=Example/OU=People/CN=alice"
    assert parse_credential(credential.text(), "x") == credential
    identity = read_identity(der_of(credential.certificate), profiles.PEOPLE, site.people_key_id())
    assert profiles.key_digest(keys.read_key(credential.key).public_key()) == identity.spki
    with Ledger(site.ledger_path) as ledger:
        issued = ledger.find(identity.serial)
    assert issued is not None
    assert issued.identity == identity


def test_a_jobs_credential_is_complete_and_recorded(site: Site, now: float, der_of: DerOf) -> None:
    first, second = site.issue_job_credentials("alice", ["1", "2"], HOUR, now, "alice")

    assert (first.server, first.role, first.job, second.job) == (URLS[1], "job", "1", "2")
    assert first.holder == "/DC=org/DC=example/O=Example/OU=People/CN=alice/CN=1"
    assert parse_credential(first.text(), "x") == first
    identity = read_identity(der_of(first.certificate), frozenset(["job"]), site.job_key_id())
    assert (identity.uuid, identity.not_after) == (first.uuid, now + HOUR)
    with Ledger(site.ledger_path) as ledger:
        [issued] = ledger.find_job(first.uuid)
    assert (issued.identity, issued.job_id, issued.issued_by) == (identity, "1", "alice")


def test_of_several_jobs_all_are_issued_or_none(site: Site, now: float) -> None:
    with pytest.raises(AuthorityError, match="cannot be a job id"):
        site.issue_job_credentials("alice", ["1", "2 3"], None, now)

    with Ledger(site.ledger_path) as ledger:
        assert ledger.rows("job") == []


def test_an_open_ledger_may_be_used_for_issuing(site: Site, now: float) -> None:
    with Ledger(site.ledger_path) as ledger:
        site.issue_jobs(site.person_name("alice"), [("1", keys.new_key().public_key())], None, now, "x", ledger)

        assert len(ledger.rows("job")) == 1


@pytest.mark.parametrize(
    "person",
    [
        "",
        " alice",
        "al\nice",
        "/",
        "/CN=alice",
        "/DC=org/DC=example/O=Example/CN=alice",
        "/DC=org/DC=example/O=Example/OU=People/CN=alice/CN=job",
        "/DC=org/DC=example/O=Example/OU=people/CN=alice",
        "/DC=org/DC=example/O=Example/OU=People/OU=alice",
        "/DC=com/DC=example/O=Example/OU=People/CN=alice",
    ],
)
def test_nobody_outside_the_sites_people_gets_a_name(site: Site, person: str) -> None:
    with pytest.raises(DistinguishedNameError):
        site.person_name(person)


def test_without_the_offline_keys_jobs_are_issued_and_people_are_not(site: Site, now: float) -> None:
    shutil.move(site.offline, site.directory.parent / "drawer")
    opened = Site.open(site.directory)

    assert opened.issue_job_credentials("alice", ["1"], None, now)
    with pytest.raises(SiteError, match="bring back the keys that were taken offline"):
        opened.issue_person("alice", (), None, now)


def test_a_renewed_credential_keeps_key_name_job_and_rights(site: Site, now: float, der_of: DerOf) -> None:
    admin = site.issue_person("root", ("caf", "desy"), HOUR, now)
    job = site.issue_job_credentials("alice", ["1"], HOUR, now)[0]
    for old in (admin, job):
        before = read_identity(der_of(old.certificate), profiles.ROLES)
        with Ledger(site.ledger_path) as ledger:
            issued = ledger.find(before.serial)
            assert issued is not None
            renewed = site.renew(issued, old.key, 2 * HOUR, now + 60, ledger=ledger)

        after = read_identity(der_of(renewed.certificate), profiles.ROLES)
        assert renewed == old._replace(certificate=renewed.certificate)
        same = (before.name, before.role, before.uuid, before.clusters, before.spki)
        assert (after.name, after.role, after.uuid, after.clusters, after.spki) == same
        assert after.not_after == now + 60 + 2 * HOUR
        assert after.serial != before.serial


def test_a_certificate_is_not_renewed_for_another_key(site: Site, now: float, der_of: DerOf) -> None:
    credential = site.issue_person("alice", (), None, now)
    serial = read_identity(der_of(credential.certificate), profiles.PEOPLE).serial
    with Ledger(site.ledger_path) as ledger:
        issued = ledger.find(serial)
        assert issued is not None

        with pytest.raises(SiteError, match="does not belong"):
            site.renew(issued, keys.key_pem(keys.new_key()), None, now, ledger=ledger)


def test_the_servers_certificate_is_renewed_for_its_key(site: Site, now: float, der_of: DerOf) -> None:
    before = read_identity(der_of(site.server_certificate.read_text()), profiles.ROLES)

    after = site.renew_server(now + DAY)

    assert read_identity(der_of(site.server_certificate.read_text()), profiles.ROLES) == after
    assert (after.spki, after.not_after) == (before.spki, before.not_after + DAY)


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("head.example.org", "example.org"),
        ("example.org", "example.org"),
        ("localhost", "localhost"),
        ("HEAD.Example.ORG.", "example.org"),
        ("10.0.0.1", "jobmon.invalid"),
        ("::1", "jobmon.invalid"),
        ("", "jobmon.invalid"),
    ],
)
def test_a_host_gives_a_domain(host: str, domain: str) -> None:
    assert default_domain(host) == domain


def test_a_domain_gives_a_base() -> None:
    assert names.display(default_base("example.org", "caf")) == "/DC=org/DC=example/O=caf"


@pytest.mark.parametrize("base_text", ["/O=名前 🙂", '/O=a"b\\\\c', "/C=DE/ST=Bayern/L=München/O=x"])
def test_any_base_survives_the_settings_file(tmp_path: Path, now: float, base_text: str) -> None:
    made = Site.create(tmp_path / "s", ["head.example.org"], "caf", names.parse(base_text), *URLS, now)

    assert names.display(made.base) == base_text
    assert made.domain == "example.org"
    assert made.issue_person("alice", (), None, now).holder == base_text + "/OU=People/CN=alice"

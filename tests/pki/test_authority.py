"""What an authority issues fits its profile, and nothing outlives what signed it."""

from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from jobmon_pki import authority, keys, names, profiles
from jobmon_pki.authority import Authority, AuthorityError
from jobmon_pki.profiles import DAY, HOUR, Identity, ProfileError, read_identity
from jobmon_pki.site import Site
from jobmon_pki.site_files import read_certificate

UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
Issue = Callable[..., Identity]


def _identity(certificate: x509.Certificate) -> Identity:
    return read_identity(authority.der(certificate), profiles.ROLES)


def _person(
    signer: Authority, site: Site, now: float, lifetime: float | None = None, clusters: tuple[str, ...] = ()
) -> Identity:
    public_key = keys.new_key().public_key()
    return _identity(
        signer.issue_person(site.person_name("alice"), public_key, site.domain, clusters, lifetime, now),
    )


def _job(site: Site, now: float, job_id: str, lifetime: float | None = None) -> Identity:
    signer, public_key = site.job_authority(), keys.new_key().public_key()
    return _identity(
        signer.issue_job(site.person_name("alice"), job_id, UUID, public_key, lifetime, now, site.domain),
    )


def test_an_owner_has_a_day_and_an_administrator_half_of_it(site: Site, now: float) -> None:
    signer = site.people_authority()

    owner = _person(signer, site, now)
    admin = _person(signer, site, now, clusters=("caf", "desy"))

    assert (owner.role, owner.clusters, owner.not_after) == ("owner", (), now + DAY)
    assert (admin.role, admin.clusters, admin.not_after) == ("admin", ("caf", "desy"), now + 12 * HOUR)
    assert owner.name == admin.name == site.person_name("alice")


def test_a_job_has_a_week_its_owners_name_and_the_uuid_it_was_given(site: Site, now: float) -> None:
    job = _job(site, now, "4711.0@caf:x_y-z")

    assert (job.role, job.uuid, job.not_after) == ("job", UUID, now + 7 * DAY)
    assert job.not_before == now - 600
    assert names.owns(site.person_name("alice"), job.name)
    assert names.common_name(job.name) == "4711.0@caf:x_y-z"


def test_a_server_is_valid_two_days_before_it_was_made(site: Site, now: float) -> None:
    identity = _identity(read_certificate(site.server_certificate))

    assert (identity.role, identity.not_before, identity.not_after) == ("server", now - 48 * HOUR, now + 90 * DAY)


@pytest.mark.parametrize("lifetime", [0.0, -1.0, 7 * DAY + 1, float("inf"), float("nan")])
def test_a_person_gets_no_lifetime_beyond_the_profile(site: Site, now: float, lifetime: float) -> None:
    with pytest.raises(AuthorityError, match="at most 7 d"):
        _person(site.people_authority(), site, now, lifetime)


def test_a_job_gets_thirty_days_and_no_second_more(site: Site, now: float) -> None:
    assert _job(site, now, "1", 30 * DAY).not_after == now + 30 * DAY
    with pytest.raises(AuthorityError, match="at most 30 d"):
        _job(site, now, "1", 30 * DAY + 1)


def test_no_certificate_outlives_its_authority(site: Site, now: float) -> None:
    signer = site.people_authority()
    last_day = signer.not_after - HOUR

    assert _person(signer, site, last_day).not_after == signer.not_after
    with pytest.raises(AuthorityError, match="has expired"):
        _person(signer, site, signer.not_after)


@pytest.mark.parametrize("job_id", ["", ".", "-x", "a b", "a/b", "a\n", "é", "a" * 65, "a;b", "a\x00"])
def test_a_job_id_that_could_be_misread_is_refused(site: Site, now: float, job_id: str) -> None:
    with pytest.raises(AuthorityError, match="cannot be a job id"):
        _job(site, now, job_id)


@pytest.mark.parametrize("clusters", [("",), ("a,b",), ("*",), ("a b",), ("a\n",), ("é",), ("c",) * 65])
def test_an_administrator_of_what_is_no_cluster_is_refused(site: Site, now: float, clusters: tuple[str, ...]) -> None:
    with pytest.raises(ProfileError):
        _person(site.people_authority(), site, now, clusters=clusters)


def test_an_administrator_may_have_as_many_clusters_as_there_is_room_for(site: Site, now: float) -> None:
    clusters = tuple(f"{number:02}-{'c' * 61}" for number in range(64))

    assert _person(site.people_authority(), site, now, clusters=clusters).clusters == clusters


def test_serial_numbers_are_random_and_never_the_same(site: Site, now: float) -> None:
    signer = site.people_authority()

    serials = [_person(signer, site, now).serial for _ in range(50)]

    assert len(set(serials)) == 50
    assert all(len(serial) == 32 for serial in serials)


def test_authorities_are_what_the_design_says(site: Site) -> None:
    server, client, people, jobs = map(read_certificate, (site.server_ca, site.client_ca, site.people_ca, site.job_ca))

    for root in (server, client):
        root.verify_directly_issued_by(root)
    for intermediate in (people, jobs):
        intermediate.verify_directly_issued_by(client)
        constraints = intermediate.extensions.get_extension_for_class(x509.BasicConstraints)
        assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)
        usage = intermediate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
        permitted = intermediate.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees
        assert permitted == [x509.DirectoryName(names.to_x509(site.base))]
    assert len({authority.key_id(one) for one in (server, client, people, jobs)}) == 4


@pytest.mark.parametrize("host", ["", "a b", "host:8443", "https://x", "-x", "x_y", "é.org", "a..b", "*.org", "a" * 64])
def test_a_host_that_is_neither_name_nor_address_is_refused(host: str) -> None:
    with pytest.raises(AuthorityError, match="neither a host name nor an address"):
        authority.host_name(host)


def test_a_server_is_named_by_names_and_addresses(site: Site, now: float) -> None:
    signer, public_key = site.server_authority(), keys.new_key().public_key()
    hosts = ["head.example.org", "10.0.0.1", "::1"]

    certificate = signer.issue_server(hosts, names.parse("/CN=head"), public_key, now)

    assert authority.host_texts(certificate) == hosts
    with pytest.raises(AuthorityError, match="1 to 64 host names"):
        signer.issue_server([], names.parse("/CN=head"), public_key, now)

"""Make a site: check what it is to be called, make its authorities, write its directory.

The directory is written under another name and renamed at the end, so a site
is there whole or not at all.
"""

import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

from jobmon_pki import authority, keys, profiles
from jobmon_pki.credential_files import write_private
from jobmon_pki.ledger import Ledger
from jobmon_pki.names import (
    COMMON_NAME,
    DOMAIN_COMPONENT,
    ORGANIZATION,
    VALUE_LENGTH,
    DistinguishedNameError,
    Name,
    check_name,
    display,
    parse,
)
from jobmon_pki.site_files import SiteError, SiteFiles, settings_text

_NO_DOMAIN = "jobmon.invalid"  # of a server that is known by its address alone


def found_site(
    directory: Path, hosts: Sequence[str], cluster: str, base: Name, users_url: str, agents_url: str, now: float
) -> None:
    """Make the directory; see ``Site.create``."""
    settings = _settings(hosts, cluster, base, users_url, agents_url)
    target = directory.absolute()
    # Made beside the target, so that the last step is a rename within one file system.
    draft = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
            raise SiteError(f"{directory} exists and is not an empty directory; name another one")
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.mkdir(mode=0o700)
        try:
            _write(SiteFiles(draft), hosts, settings, now)
            draft.rename(target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise SiteError(f"cannot make {directory}: {error.strerror}; check the directory it is to lie in") from error


def default_base(domain: str, organization: str) -> Name:
    """The base of a site that was given none: ``/DC=org/DC=example/O=caf``."""
    components = tuple((DOMAIN_COMPONENT, label) for label in reversed(domain.split(".")))
    return check_name(components + ((ORGANIZATION, organization),))


def default_domain(host: str) -> str:
    """The domain of a host: ``example.org`` for ``head.example.org``; a bare name is its own."""
    name = host.lower().rstrip(".")
    if not profiles.DOMAIN.fullmatch(name) or name.replace(".", "").isdigit():
        return _NO_DOMAIN
    return name.partition(".")[2] if name.count(".") >= 2 else name


def server_name(base: Name, hosts: Sequence[str]) -> Name:
    """The subject of the server's certificate, for people: machines read the alternative names."""
    return base + ((COMMON_NAME, hosts[0] if len(hosts[0]) <= VALUE_LENGTH else "JobMon server"),)


def _settings(hosts: Sequence[str], cluster: str, base: Name, users_url: str, agents_url: str) -> dict[str, str]:
    if not profiles.CLUSTER.fullmatch(cluster):
        raise SiteError(f"{cluster[:70]!r} cannot be the name of a cluster; use letters, digits and ._-")
    if not hosts:
        raise SiteError("a site's server needs a host name; name one with --host")
    for host in hosts:
        authority.host_name(host)
    for url in (users_url, agents_url):
        if not url.startswith("https://") or not url.isascii() or any(character <= " " for character in url):
            raise SiteError(f"{url[:100]!r} is no address of a server; write it as https://host:port")
    text = display(_checked_base(base))
    components = [value.lower() for oid, value in base if oid == DOMAIN_COMPONENT]
    domain = ".".join(reversed(components)) or default_domain(hosts[0])
    if not profiles.DOMAIN.fullmatch(domain):
        raise SiteError(f"the DC parts of {text} make no domain; write them as /DC=org/DC=example")
    return {"cluster": cluster, "domain": domain, "base": text, "users_url": users_url, "agents_url": agents_url}


def _checked_base(base: Name) -> Name:
    try:
        check_name(base)
        check_name(base + base[:1] * 3)  # room for OU=People, a person and a job
    except DistinguishedNameError as error:
        raise SiteError(
            f"the base of the site's names is not usable: {error}; write it as /DC=org/DC=example"
        ) from error
    if any(oid == COMMON_NAME for oid, _ in base):
        raise SiteError(f"the base {display(base)} holds a CN; a CN is a person or a job, so leave it out")
    return base


def _write(files: SiteFiles, hosts: Sequence[str], settings: dict[str, str], now: float) -> None:
    base = parse(settings["base"])

    def named(text: str) -> Name:
        return base + ((COMMON_NAME, text),)

    server_root = authority.create_root(named("JobMon server root"), now)
    client_root = authority.create_root(named("JobMon client root"), now)
    people = authority.create_intermediate(client_root, named("JobMon People CA"), base, now)
    jobs = authority.create_intermediate(client_root, named("JobMon Job CA"), base, now)
    key = keys.new_key()
    server = server_root.issue_server(hosts, server_name(base, hosts), key.public_key(), now)
    files.offline.mkdir(mode=0o700)
    for path, private_key in (
        (files.server_ca_key, server_root.key),
        (files.client_ca_key, client_root.key),
        (files.people_ca_key, people.key),
        (files.job_ca_key, jobs.key),
        (files.server_key, key),
    ):
        write_private(path, keys.key_pem(private_key))
    for path, certificate in (
        (files.server_ca, server_root.certificate),
        (files.client_ca, client_root.certificate),
        (files.people_ca, people.certificate),
        (files.job_ca, jobs.certificate),
        (files.server_certificate, server),
    ):
        write_private(path, authority.pem(certificate))
    identity = profiles.read_identity(authority.der(server), frozenset([profiles.SERVER]))
    with Ledger(files.ledger_path) as ledger:
        ledger.record(identity, "", settings["cluster"], now, "init")
    write_private(files.settings_path, settings_text(settings))

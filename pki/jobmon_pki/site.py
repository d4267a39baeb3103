"""A site: its names, and whom it issues to.

Everything issued is in the ledger before it is handed out.  Where the files
lie is told in ``site_files``; how a site begins, in ``founding``.
"""

import uuid
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

from cryptography import x509

from jobmon_pki import authority, keys, profiles
from jobmon_pki.credential_files import write_private
from jobmon_pki.founding import default_base, default_domain, found_site, server_name
from jobmon_pki.ledger import Issued, Ledger
from jobmon_pki.names import (
    COMMON_NAME,
    ORGANIZATIONAL_UNIT,
    DistinguishedNameError,
    Name,
    check_name,
    display,
    owner_of,
    parse,
)
from jobmon_pki.site_files import SiteError, SiteFiles, read_certificate, read_pem, read_private_key
from jobmon_wire.credential import Credential

__all__ = ["IssuedJob", "Site", "SiteError", "default_base", "default_domain"]

_PEOPLE_UNIT = (ORGANIZATIONAL_UNIT, "People")
_COMMAND = "pki"  # who issued, when nobody says otherwise: the command line


class IssuedJob(NamedTuple):
    """What a job gets besides the key it has."""

    job_id: str
    uuid: str
    holder: str
    certificate_pem: str
    not_after: float


class Site(SiteFiles):
    """One site's directory, open; the methods may be called from several threads."""

    def __init__(self, directory: Path, settings: dict[str, str]) -> None:
        super().__init__(directory)
        self.cluster = settings["cluster"]
        self.domain = settings["domain"]
        self.base: Name = parse(settings["base"])
        self.users_url = settings["users_url"]
        self.agents_url = settings["agents_url"]

    @staticmethod
    def create(
        directory: Path | str,
        hosts: Sequence[str],
        cluster: str,
        base: Name,
        users_url: str,
        agents_url: str,
        now: float,
    ) -> "Site":
        """Make a site: two roots, two authorities, the server's certificate.

        Args:
            directory: must not exist, or be empty.
            hosts: names and addresses by which agents and users call the server.
            cluster: the name of the cluster the server is for.
            base: what the name of everybody here begins with.
            users_url: where consoles connect.
            agents_url: where agents connect.
            now: seconds since 1970.

        Raises:
            PkiError: the directory is in use or cannot be made, or an argument is not acceptable.
        """
        found_site(Path(directory), hosts, cluster, base, users_url, agents_url, now)
        return Site.open(directory)

    @staticmethod
    def open(directory: Path | str) -> "Site":
        """The site in a directory.

        Raises:
            SiteError: no site, or a part of it is missing.
        """
        files = SiteFiles(Path(directory))
        try:
            return Site(files.directory, files.read_settings())
        except DistinguishedNameError as error:
            raise SiteError(f"the base in {files.settings_path} is wrong: {error}; restore it from a backup") from error

    def person_name(self, person: str) -> Name:
        """The name of a person given as CN, or as the whole name.

        Raises:
            DistinguishedNameError: no such name, or not one of this site.
        """
        people = self.base + (_PEOPLE_UNIT,)
        try:
            name = parse(person) if person.startswith("/") else check_name(people + ((COMMON_NAME, person),))
        except DistinguishedNameError as error:
            raise DistinguishedNameError(f"{error}; give a person's name such as alice") from error
        if name[:-1] != people or name[-1][0] != COMMON_NAME:
            raise DistinguishedNameError(
                f"{display(name)} is nobody here; people's names are {display(people)}/CN=NAME"
            )
        return name

    def issue_person(
        self,
        person: str,
        clusters: tuple[str, ...],
        lifetime: float | None,
        now: float,
        issued_by: str = _COMMAND,
        ledger: Ledger | None = None,
    ) -> Credential:
        """A new credential for a person, administrator of the clusters if any are named.

        Args:
            person: CN, or the whole name.
            clusters: empty for an owner.
            lifetime: seconds; None for the profile's.
            now: seconds since 1970.
            issued_by: for the ledger.
            ledger: one that is open already.

        Raises:
            PkiError: the name, the lifetime, the keys or the ledger do not allow it.
        """
        name, signer, key = self.person_name(person), self.people_authority(), keys.new_key()
        certificate = signer.issue_person(name, key.public_key(), self.domain, clusters, lifetime, now)
        identity = self._record([(certificate, "")], now, issued_by, ledger)[0]
        return self._credential(identity, "", certificate, keys.key_pem(key))

    def issue_jobs(
        self,
        owner: Name,
        requests: Iterable[tuple[str, keys.PublicKey]],
        lifetime: float | None,
        now: float,
        issued_by: str = _COMMAND,
        ledger: Ledger | None = None,
    ) -> list[IssuedJob]:
        """Certificates for jobs, each with its id and public key; all are recorded, or none is issued.

        Raises:
            PkiError: an id, the lifetime, the key or the ledger do not allow it.
        """
        signer = self.job_authority()
        pairs = [
            (signer.issue_job(owner, job_id, str(uuid.uuid4()), public_key, lifetime, now, self.domain), job_id)
            for job_id, public_key in requests
        ]
        identities = self._record(pairs, now, issued_by, ledger)
        return [
            IssuedJob(job_id, one.uuid, display(one.name), authority.pem(certificate), one.not_after)
            for (certificate, job_id), one in zip(pairs, identities, strict=True)
        ]

    def issue_job_credentials(
        self,
        owner: str | Name,
        ids: Iterable[str],
        lifetime: float | None,
        now: float,
        issued_by: str = _COMMAND,
        ledger: Ledger | None = None,
    ) -> list[Credential]:
        """Whole job credentials, the keys made here."""
        name = self.person_name(owner if isinstance(owner, str) else display(owner))
        pairs = [(job_id, keys.new_key()) for job_id in ids]
        requests = [(job_id, key.public_key()) for job_id, key in pairs]
        issued = self.issue_jobs(name, requests, lifetime, now, issued_by, ledger)
        return [self.job_credential(job, keys.key_pem(key)) for job, (_, key) in zip(issued, pairs, strict=True)]

    def job_credential(self, job: IssuedJob, key: str) -> Credential:
        """The credential of an issued job, for its key in PEM."""
        return Credential(
            server=self.agents_url,
            role=profiles.JOB,
            holder=job.holder,
            job=job.job_id,
            uuid=job.uuid,
            cluster=self.cluster,
            certificate=job.certificate_pem,
            key=key,
            server_ca=self.server_ca_pem(),
        )

    def renew(
        self,
        old: Issued,
        key: str,
        lifetime: float | None,
        now: float,
        issued_by: str = _COMMAND,
        ledger: Ledger | None = None,
    ) -> Credential:
        """A new certificate for the holder of an old one: same key (PEM), name, job and rights.

        Raises:
            PkiError: the key is another one or was revoked, or this is not done here.
        """
        public_key = keys.read_key(key).public_key()
        identity = old.identity
        if profiles.key_digest(public_key) != identity.spki:
            raise SiteError(f"the key does not belong to the certificate {old.serial}; issue a new one")
        if identity.role == profiles.SERVER:
            raise SiteError("the server's certificate is not renewed so; use --server")
        if identity.role == profiles.JOB:
            owner, signer = owner_of(identity.name), self.job_authority()
            certificate = signer.issue_job(owner, old.job_id, identity.uuid, public_key, lifetime, now, self.domain)
        else:
            name, signer = identity.name, self.people_authority()
            certificate = signer.issue_person(name, public_key, self.domain, identity.clusters, lifetime, now)
        renewed = self._record([(certificate, old.job_id)], now, issued_by, ledger)[0]
        return self._credential(renewed, old.job_id, certificate, key)

    def renew_server(self, now: float, hosts: Sequence[str] = ()) -> profiles.Identity:
        """A new certificate for the server's key, for the same hosts unless others are named.

        Raises:
            PkiError: the server root's key is not here, its key was revoked, or a host is none.
        """
        names = list(hosts) or authority.host_texts(read_certificate(self.server_certificate))
        key, signer = read_private_key(self.server_key), self.server_authority()
        certificate = signer.issue_server(names, server_name(self.base, names), key.public_key(), now)
        identity = self._record([(certificate, "")], now, _COMMAND, None)[0]
        write_private(self.server_certificate, authority.pem(certificate), overwrite=True)
        return identity

    def people_key_id(self) -> bytes:
        """What ``read_identity`` is to find as the issuer of people's certificates."""
        return authority.key_id(read_certificate(self.people_ca))

    def job_key_id(self) -> bytes:
        """What ``read_identity`` is to find as the issuer of jobs' certificates."""
        return authority.key_id(read_certificate(self.job_ca))

    def job_authority_end(self) -> float:
        """The moment after which no job's certificate is valid, s since 1970."""
        return read_certificate(self.job_ca).not_valid_after_utc.timestamp()

    def server_ca_pem(self) -> str:
        """What the server must chain to, for agents and consoles."""
        return read_pem(self.server_ca)

    def _credential(
        self, identity: profiles.Identity, job_id: str, certificate: x509.Certificate, key: str
    ) -> Credential:
        if identity.role == profiles.JOB:
            text, pem = display(identity.name), authority.pem(certificate)
            return self.job_credential(IssuedJob(job_id, identity.uuid, text, pem, identity.not_after), key)
        return Credential(
            server=self.users_url,
            role=identity.role,
            holder=display(identity.name),
            job="",
            uuid="",
            cluster=self.cluster,
            certificate=authority.pem(certificate),
            key=key,
            server_ca=self.server_ca_pem(),
        )

    def _record(
        self, issued: Sequence[tuple[x509.Certificate, str]], now: float, issued_by: str, ledger: Ledger | None
    ) -> list[profiles.Identity]:
        identities = [profiles.read_identity(authority.der(one), profiles.ROLES) for one, _ in issued]
        pairs = [(identity, job_id) for identity, (_, job_id) in zip(identities, issued, strict=True)]
        with nullcontext(ledger) if ledger is not None else Ledger(self.ledger_path) as book:
            book.record_all(pairs, self.cluster, now, issued_by)
        return identities

"""The files of a site's directory: where each lies, and how it is read.

::

    site.toml             what the site is called and where its server listens
    server.pem .key       the server's certificate and key
    server-ca.pem         what agents and consoles trust: the server root
    people-ca.pem         what the users' port trusts
    job-ca.pem .key       what the agents' port trusts; its key signs job credentials
    client-ca.pem         the root over the two above; no listener trusts it
    ledger.sqlite         what was issued and revoked
    offline/              keys that the running server does not need: keep them
                          elsewhere and bring them back to issue to people

The server's own settings and store lie in the same directory; what they hold
is the server's affair.  Who may get a certificate is not known here.
"""

import json
import os
import tomllib
from pathlib import Path

from cryptography import x509

from jobmon_pki import keys
from jobmon_pki.authority import Authority
from jobmon_pki.errors import PkiError

SETTINGS = ("cluster", "domain", "base", "users_url", "agents_url")
_SETTINGS_FILE = "site.toml"
_RESTORE = "restore it from a backup"
_OFFLINE = "bring back the keys that were taken offline"


class SiteError(PkiError):
    """The directory is not a usable site, or the site does not do that."""


class SiteFiles:
    """The paths of one site's directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.settings_path = directory / _SETTINGS_FILE
        self.server_certificate = directory / "server.pem"
        self.server_key = directory / "server.key"
        self.server_ca = directory / "server-ca.pem"
        self.client_ca = directory / "client-ca.pem"
        self.people_ca = directory / "people-ca.pem"
        self.job_ca = directory / "job-ca.pem"
        self.job_ca_key = directory / "job-ca.key"
        self.offline = directory / "offline"
        self.server_ca_key = self.offline / "server-ca.key"
        self.client_ca_key = self.offline / "client-ca.key"
        self.people_ca_key = self.offline / "people-ca.key"
        self.ledger_path = directory / "ledger.sqlite"
        self.store_path = directory / "store.sqlite"
        self.config_path = directory / "server.toml"
        self.beats_secret = directory / "beats.key"

    def read_settings(self) -> dict[str, str]:
        """What ``site.toml`` says, after a look whether the site is whole.

        Raises:
            SiteError: no site, or a part of it is missing; the sentence names it.
        """
        where = self.settings_path
        try:
            settings = tomllib.loads(where.read_text("utf-8"))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise SiteError(
                f"{self.directory} is no site: no {where.name}; make one with jobmon server --init {self.directory}"
            ) from error
        except OSError as error:
            raise SiteError(f"cannot read {where}: {error.strerror}; check its owner and mode") from error
        except ValueError as error:
            raise SiteError(f"{where} is not TOML ({error}); {_RESTORE}") from error
        for key in SETTINGS:
            if not isinstance(settings.get(key), str) or not settings[key]:
                raise SiteError(f'{where} does not say {key} = "…"; {_RESTORE}')
        for file in (self.server_certificate, self.server_ca, self.people_ca, self.job_ca):
            if not file.is_file():
                raise SiteError(f"{self.directory} is incomplete: no {file.name}; {_RESTORE}")
        return {key: settings[key] for key in SETTINGS}

    def people_authority(self) -> Authority:
        """The People CA with its key.

        Raises:
            SiteError: its key is not in this directory.
        """
        return Authority(read_certificate(self.people_ca), read_private_key(self.people_ca_key, _OFFLINE))

    def job_authority(self) -> Authority:
        """The Job CA with its key.

        Raises:
            SiteError: its key is not in this directory.
        """
        return Authority(read_certificate(self.job_ca), read_private_key(self.job_ca_key))

    def server_authority(self) -> Authority:
        """The server root with its key.

        Raises:
            SiteError: its key is not in this directory.
        """
        return Authority(read_certificate(self.server_ca), read_private_key(self.server_ca_key, _OFFLINE))


def settings_text(settings: dict[str, str]) -> str:
    """The content of ``site.toml``."""
    # JSON's text is TOML's for everything that a checked name or address can hold.
    lines = [f"{key} = {json.dumps(settings[key], ensure_ascii=False)}" for key in SETTINGS]
    return "# What this site is called.  Certificates hold these names: do not change them.\n" + "\n".join(lines) + "\n"


def read_certificate(path: Path) -> x509.Certificate:
    """The first certificate in a PEM file.

    Raises:
        SiteError: missing, or it holds none.
    """
    try:
        return x509.load_pem_x509_certificate(read_pem(path).encode("ascii"))
    except ValueError as error:
        raise SiteError(f"{path} holds no certificate; {_RESTORE}") from error


def read_private_key(path: Path, remedy: str = _RESTORE) -> keys.PrivateKey:
    """The key in a PEM file.

    Raises:
        SiteError: missing, or it holds none.
    """
    try:
        return keys.read_key(read_pem(path, remedy))
    except keys.RequestError as error:
        raise SiteError(f"{path} holds no key that JobMon made; {_RESTORE}") from error


def read_pem(path: Path, remedy: str = _RESTORE) -> str:
    """The text of a PEM file.

    Raises:
        SiteError: missing, or not such a file.
    """
    try:
        return path.read_text("ascii")
    except OSError as error:
        raise SiteError(f"cannot read {path}: {os.strerror(error.errno or 0)}; {remedy}") from error
    except UnicodeDecodeError as error:
        raise SiteError(f"{path} is no PEM file; {_RESTORE}") from error

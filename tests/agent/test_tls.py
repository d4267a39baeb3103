"""The agent talks to the server of its credential and to nobody else, on every Python it runs under.

Whoever stands in the server's place gets no byte of what the agent would say;
each of them is proved to be able to take it by a client that checks nothing.
"""

import contextlib
import datetime
import ipaddress
import json
import socket
import ssl
import subprocess
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import jobmon_agent
from jobmon_agent.tls import read_address
from jobmon_pki.credential_files import write_credential
from jobmon_pki.names import parse
from jobmon_pki.site import Site

AGENT = Path(jobmon_agent.__file__).parents[1]
SCRIPT = Path(__file__).with_name("tls_script.py")
HERE = "127.0.0.1"
DAY = datetime.timedelta(days=1)
OLD = "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"  # what TLS before 1.2 has: CBC and SHA-1

Key = ec.EllipticCurvePrivateKey


class Impostor:
    """A TLS server that takes what it is given, counts it and answers."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._listener = socket.create_server((HERE, 0))
        self._listener.settimeout(0.02)
        self._is_over = False
        self.url = f"https://{HERE}:{self._listener.getsockname()[1]}"
        self.received = 0  # bytes of application data
        self.handshakes = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def close(self) -> None:
        self._is_over = True
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        while not self._is_over:
            with contextlib.suppress(OSError):
                plain, _ = self._listener.accept()
                plain.settimeout(10.0)
                with contextlib.closing(plain):
                    self._serve(plain)

    def _serve(self, plain: socket.socket) -> None:
        with self._context.wrap_socket(plain, server_side=True) as secure:
            self.handshakes += 1
            data = secure.recv(65536)
            self.received += len(data)
            if data:
                secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")


class House:
    """The site, certificates that are not the server's, and what pretends to be it."""

    def __init__(self, directory: Path) -> None:
        base, now = parse("/DC=org/DC=example"), time.time()
        self.directory = directory
        self.site, self.other = (
            Site.create(directory / name, [HERE], name, base, "https://127.0.0.1:9", "https://127.0.0.1:9", now)
            for name in ("site", "other")
        )
        self.credential = self.job_credential(self.site)
        self._impostors: list[Impostor] = []

    def job_credential(self, site: Site) -> Path:
        """A job's credential of a site; its server's CA is the first site's."""
        [made] = site.issue_job_credentials(site.person_name("alice"), ["job-1"], 3600.0, time.time())
        path = self.directory / f"{site.cluster}.jobmon"
        write_credential(path, made._replace(server_ca=self.site.server_ca_pem()))
        return path

    def serve(self, certificate: Path, key: Path, **options: Any) -> Impostor:
        """A server with that certificate, on a free port."""
        self._impostors.append(Impostor(server_context(certificate, key, **options)))
        return self._impostors[-1]

    def genuine(self, **options: Any) -> Impostor:
        """The server itself."""
        return self.serve(self.site.server_certificate, self.site.server_key, **options)

    def close(self) -> None:
        for impostor in self._impostors:
            impostor.close()

    def make(
        self, name: str, signer: tuple[x509.Certificate, Any] | None, host: str = HERE, start: int = -1
    ) -> Impostor:
        """A server whose certificate somebody else signed, or with another name, or for other days."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        begin = datetime.datetime.now(datetime.UTC) + start * DAY
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(signer[0].subject if signer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + 2 * DAY)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        )
        certificate = builder.sign(signer[1] if signer else key, hashes.SHA256())
        path, key_path = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return self.serve(path, key_path)


def server_context(
    certificate: Path,
    key: Path,
    lowest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    highest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED,
    ciphers: str = "",
    clients: Path | None = None,
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions are the point
        context.minimum_version, context.maximum_version = lowest, highest
    if ciphers:
        context.set_ciphers(ciphers)
    context.load_cert_chain(certificate, key)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    return context


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Two sites and their impostors, gone after the test."""
    made = House(tmp_path)
    yield made
    made.close()


def visit_under(python: Path, visits: list[tuple[Path, Impostor]]) -> list[str]:
    """What came of each visit, made by the agent under that Python."""
    asked = json.dumps([(str(credential), impostor.url) for credential, impostor in visits])
    ran = subprocess.run(
        [str(python), "-I", "-S", "-B", str(SCRIPT), str(AGENT), asked], capture_output=True, timeout=60
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    return list(json.loads(ran.stdout))


def visit_carelessly(impostor: Impostor) -> bytes:
    """The control: a client that checks nothing and speaks every version."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection((HERE, impostor.port), 10.0) as plain, context.wrap_socket(plain) as secure:
        secure.sendall(b"secret")
        return secure.recv(100)


def signer_of(authority: Any) -> tuple[x509.Certificate, Any]:
    return authority.certificate, authority.key


def credential_parts(house: House, credential: Any, name: str) -> tuple[Path, Path]:
    """A client's certificate and key, to be a server's."""
    certificate, key = house.directory / f"{name}.chain.pem", house.directory / f"{name}.key.pem"
    certificate.write_text(credential.certificate)
    key.write_text(credential.key)
    return certificate, key


def impostors(house: House) -> dict[str, Impostor]:
    site, now = house.site, time.time()
    [job] = site.issue_job_credentials(site.person_name("alice"), ["job-2"], 3600.0, now)
    person = site.issue_person("alice", (), None, now)
    ours = signer_of(site.server_authority())
    version = ssl.TLSVersion
    return {
        "signed by itself": house.make("self", None),
        "the server of another site": house.serve(house.other.server_certificate, house.other.server_key),
        "signed by another authority": house.make("public", signer_of(house.other.server_authority())),
        "signed by the Job CA": house.make("by-job-ca", signer_of(site.job_authority())),
        "signed by the People CA": house.make("by-people-ca", signer_of(site.people_authority())),
        "a job's certificate": house.serve(*credential_parts(house, job, "job")),
        "a person's certificate": house.serve(*credential_parts(house, person, "person")),
        "another name": house.make("another-name", ours, host="127.0.0.2"),
        "expired": house.make("expired", ours, start=-10),
        "not valid yet": house.make("early", ours, start=5),
        "TLS 1.0": house.genuine(lowest=version.TLSv1, highest=version.TLSv1, ciphers=OLD),
        "TLS 1.1": house.genuine(lowest=version.TLSv1_1, highest=version.TLSv1_1, ciphers=OLD),
        "TLS 1.2 with CBC": house.genuine(highest=version.TLSv1_2, ciphers=OLD),
    }


@pytest.mark.promise(42)
@pytest.mark.promise(43)
def test_whoever_is_not_the_server_gets_no_byte(house: House, pythons: list[Path]) -> None:
    false = impostors(house)
    true = {
        "as it is": house.genuine(),
        "TLS 1.2 alone": house.genuine(highest=ssl.TLSVersion.TLSv1_2),
        "signed by its authority": house.make("ours", signer_of(house.site.server_authority())),
    }

    for python in pythons:
        told = visit_under(python, [(house.credential, each) for each in (*false.values(), *true.values())])

        for name, outcome in zip((*false, *true), told, strict=True):
            assert outcome.startswith("no connection: " if name in false else "answered"), (python, name, outcome)

    assert {name: impostor.received for name, impostor in false.items()} == dict.fromkeys(false, 0)
    assert all(impostor.received for impostor in true.values())
    assert {name for name, impostor in false.items() if visit_carelessly(impostor).startswith(b"HTTP")} == set(false)
    assert all(impostor.received == len(b"secret") for impostor in false.values())


@pytest.mark.promise(41)
def test_a_certificate_of_another_authority_is_refused_at_the_first_answer(house: House, pythons: list[Path]) -> None:
    version = ssl.TLSVersion
    servers = [
        house.genuine(clients=house.site.job_ca, highest=highest) for highest in (version.TLSv1_3, version.TLSv1_2)
    ]
    foreign = house.job_credential(house.other)

    for python in pythons:
        told = visit_under(
            python, [(credential, each) for credential in (foreign, house.credential) for each in servers]
        )

        assert told[0].startswith("refused: "), (python, told)  # TLS 1.3: connected, yet nothing was ever answered
        assert told[1].startswith(("no connection: ", "refused: ")), (python, told)
        assert told[2:] == ["answered"] * 2


@pytest.mark.promise(41)
def test_an_agent_whose_certificate_is_refused_has_not_registered(
    launcher: Any, server: Any, until: Callable[..., Any], tmp_path: Path, old_or_new: Path
) -> None:
    base = parse("/DC=org/DC=example")
    other = Site.create(tmp_path / "other", [HERE], "other", base, "https://h:1", "https://h:1", time.time())
    trusting = server.context
    server.context = server_context(server.site.server_certificate, server.site.server_key, clients=other.job_ca)
    job = launcher.start(launcher.line(old_or_new, "sleep", "30"))

    until(lambda: len(server.errors) >= 2)  # it came, was refused, and came again

    assert not server.registrations
    assert job.poll() is None
    server.context = trusting  # the control: the same agent, at a server that knows its authority
    until(lambda: server.registrations)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://jobmon.example:8444", "jobmon.example", 8444),
        ("https://jobmon.example:8444/", "jobmon.example", 8444),
        ("HTTPS://JobMon.example", "jobmon.example", 443),
        ("https://10.0.0.1:1", "10.0.0.1", 1),
        ("https://[2001:db8::1]:8444", "2001:db8::1", 8444),
        ("https://[::1]", "::1", 443),
    ],
)
def test_a_servers_address_is_read_as_the_standard_library_reads_it(url: str, host: str, port: int) -> None:
    parts = urlsplit(url)
    assert (parts.hostname, parts.port or 443) == (host, port)

    assert read_address(url) == (host, port)


@pytest.mark.parametrize(
    "url",
    [
        *("", "jobmon.example:8444", "http://jobmon.example:8444", "https://", "https://:8444"),
        *(
            "https://jobmon.example:",
            "https://jobmon.example:x",
            "https://jobmon.example:0",
            "https://jobmon.example:65536",
        ),
        *("https://jobmon.example:٣", "https://me@jobmon.example:1", "https://a:b:1", "https://[::1", "https://a b:1"),
    ],
)
def test_what_is_no_servers_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="the credential's server is no https address"):
        read_address(url)

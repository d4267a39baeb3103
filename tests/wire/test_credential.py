"""A credential file is private, whole and one's own, or it is refused with what to do."""

import os
from pathlib import Path

import pytest

from jobmon_wire.credential import Credential, CredentialError, open_credential, parse_credential

BLOCK = "-----BEGIN {0}-----\nMDEyMw==\n-----END {0}-----\n"
CREDENTIAL = Credential(
    server="https://head.example.org:8443",
    role="owner",
    holder="/DC=org/OU=People/CN=alice",
    job="",
    uuid="",
    cluster="caf",
    certificate=BLOCK.format("CERTIFICATE"),
    key=BLOCK.format("PRIVATE KEY"),
    server_ca=BLOCK.format("CERTIFICATE"),
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "alice.jobmon"
    path.touch(0o600)
    path.write_text(CREDENTIAL.text())
    return path


def test_what_was_written_is_read(file: Path) -> None:
    descriptor, credential = open_credential(str(file))
    os.close(descriptor)

    assert credential == CREDENTIAL


def test_the_server_ca_is_no_certificate_to_a_tls_library_that_loads_the_file_whole() -> None:
    text = CREDENTIAL.text()

    assert text.count("-----BEGIN CERTIFICATE-----") == 1
    assert text.count("-----BEGIN JOBMON SERVER CA-----") == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_file_that_others_can_read_is_refused_and_the_remedy_named(file: Path, mode: int) -> None:
    file.chmod(mode)

    with pytest.raises(CredentialError, match=r"others can read .*; run: chmod 600 "):
        open_credential(str(file))


def test_a_link_a_fifo_a_second_name_and_a_missing_file_are_refused(file: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(file)
    os.mkfifo(tmp_path / "fifo", 0o600)

    for name, reason in (("link", "cannot open"), ("fifo", "not a regular file"), ("absent", "cannot open")):
        with pytest.raises(CredentialError, match=reason):
            open_credential(str(tmp_path / name))
    os.link(file, tmp_path / "second")
    with pytest.raises(CredentialError, match="2 names"):
        open_credential(str(file))


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file to another user needs root")
def test_another_users_file_is_refused(file: Path) -> None:
    os.chown(file, 65534, -1)

    with pytest.raises(CredentialError, match="another user"):
        open_credential(str(file))


@pytest.mark.parametrize("part", ["CERTIFICATE", "PRIVATE KEY", "JOBMON SERVER CA"])
def test_a_file_cut_short_says_what_is_missing(part: str) -> None:
    with pytest.raises(CredentialError, match="no " + part):
        parse_credential(CREDENTIAL.text().replace(BLOCK.format(part), ""), "alice.jobmon")


def test_any_other_file_is_refused() -> None:
    with pytest.raises(CredentialError, match=r"alice\.pem is no JobMon credential"):
        parse_credential(BLOCK.format("CERTIFICATE"), "alice.pem")

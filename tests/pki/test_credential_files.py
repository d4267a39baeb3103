"""A credential file is written whole, private, and over nothing that is there."""

import os
from pathlib import Path

import pytest

from jobmon_pki.credential_files import CredentialFileError, credential_name, write_credential
from jobmon_pki.site import Site
from jobmon_wire.credential import Credential, open_credential


@pytest.fixture
def credential(site: Site, now: float) -> Credential:
    """Somebody's."""
    return site.issue_person("alice", (), None, now)


def _read(path: Path) -> Credential:
    descriptor, credential = open_credential(str(path))
    os.close(descriptor)
    return credential


def test_what_was_written_is_read_back_by_the_wire(tmp_path: Path, credential: Credential) -> None:
    before = os.umask(0)
    try:
        write_credential(tmp_path / "alice.jobmon", credential)
    finally:
        os.umask(before)

    assert _read(tmp_path / "alice.jobmon") == credential  # it checks mode, owner and links as well


def test_a_file_that_is_there_is_kept(tmp_path: Path, credential: Credential) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")

    for name in ("file", "link"):
        with pytest.raises(CredentialFileError, match="exists already; remove it or choose another name"):
            write_credential(tmp_path / name, credential)

    assert (tmp_path / "file").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "site") == ["file", "link"]


def test_a_file_is_replaced_in_one_step_when_that_is_wanted(tmp_path: Path, credential: Credential) -> None:
    path = tmp_path / "alice.jobmon"
    write_credential(path, credential)
    with open(path) as reader:
        write_credential(path, credential._replace(cluster="desy"), overwrite=True)

        assert "Cluster: caf" in reader.read()  # the old file lives on for who has it open
    assert _read(path).cluster == "desy"
    assert sorted(one.name for one in tmp_path.iterdir() if one.name != "site") == ["alice.jobmon"]


def test_a_link_is_replaced_not_followed(tmp_path: Path, credential: Credential) -> None:
    (tmp_path / "target").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "target")

    write_credential(tmp_path / "link", credential, overwrite=True)

    assert (tmp_path / "target").read_text() == "mine"
    assert _read(tmp_path / "link") == credential


def test_a_directory_that_is_not_there_is_named(tmp_path: Path, credential: Credential) -> None:
    with pytest.raises(CredentialFileError, match="No such file or directory; check the directory"):
        write_credential(tmp_path / "none" / "a.jobmon", credential)


def test_a_job_names_its_file() -> None:
    assert credential_name("4711.0") == "4711.0.jobmon"

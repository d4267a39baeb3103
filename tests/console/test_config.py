"""`jobmon config` changes what it is told and leaves the rest of the file as a person wrote it."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

WRITTEN = """\
# my clusters
current = [
    "old",  # the first one
]

[context.old]   # keep
credential = "old.jobmon"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def test_the_first_context_becomes_the_current_one(jobmon: Run, credential_file: Run, path: Path) -> None:
    file = credential_file("https://localhost:1", "a b\"c'ü")

    assert jobmon("config", "add", "caf", file).status == 0
    assert jobmon("config", "add", "x.y-z_2", file).status == 0

    assert tomllib.loads(path.read_text()) == {
        "current": "caf",
        "context": {"caf": {"credential": file}, "x.y-z_2": {"credential": file}},
    }
    assert path.stat().st_mode & 0o777 == 0o600


def test_comments_and_order_stay(jobmon: Run, credential_file: Run, path: Path) -> None:
    path.write_text(WRITTEN)
    path.chmod(0o640)
    file = credential_file("https://localhost:1")
    jobmon("config", "add", "new", file)

    assert jobmon("config", "use", "new", "old").status == 0

    rest = WRITTEN.split("]\n", 1)[1]
    assert (
        path.read_text() == f'# my clusters\ncurrent = ["new", "old"]\n{rest}\n[context.new]\ncredential = "{file}"\n'
    )
    assert path.stat().st_mode & 0o777 == 0o640
    listed = jobmon("config", "list").text
    assert listed.splitlines()[0].split() == ["CONTEXT", "SERVER", "CREDENTIAL"]
    assert [line.split()[:2] for line in listed.splitlines()[1:]] == [["*", "old"], ["*", "new"]]
    assert jobmon("config", "list", "--names").text == "old\nnew\n"


def test_a_link_to_the_file_stays_a_link(jobmon: Run, credential_file: Run, path: Path, tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    path.symlink_to(tmp_path / "dotfiles" / "jobmon.toml")

    assert jobmon("config", "add", "caf", credential_file("https://localhost:1")).status == 0

    assert path.is_symlink()
    assert "caf" in (tmp_path / "dotfiles" / "jobmon.toml").read_text()


def test_four_files_can_be_named_instead(jobmon: Run, alice: Any, path: Path, tmp_path: Path) -> None:
    for name, content in (("cert", alice.certificate), ("key", alice.key), ("ca", alice.server_ca)):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o600)
    parts = [f"--{name}={tmp_path / name}" for name in ("cert", "key", "ca")]

    assert jobmon("config", "add", "grid", "--server=https://head.example.org:8443", *parts).status == 0

    context = tomllib.loads(path.read_text())["context"]["grid"]
    assert context == {"server": "https://head.example.org:8443"} | {
        n: str(tmp_path / n) for n in ("cert", "key", "ca")
    }


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("add taken FILE", 2), ("add bad/name FILE", 2), ("add x", 2), ("add x /nonexistent", 7), ("use nobody", 2),
        ("add x --server=https://h", 2), ("", 2), ("frob", 2),
    ],
)  # fmt: skip
def test_what_cannot_be_leaves_the_file_as_it_was(
    jobmon: Run, credential_file: Run, path: Path, words: str, status: int
) -> None:
    file = credential_file("https://localhost:1")
    jobmon("config", "add", "taken", file)
    before = path.read_text()

    result = jobmon("config", *words.replace("FILE", file).split())

    assert result.status == status
    assert (path.read_text() == before) == (status != 0)
    assert result.err.count("\n") == (status != 0)

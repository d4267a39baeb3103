"""Flags come before the environment, the environment before the file; what contradicts itself is refused."""

import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from jobmon_console.contexts import Context, ContextError, Flags, load_contexts, read_settings
from jobmon_console.errors import CredentialFileError
from tests.console.prompts import answer_prompt

FILE = """\
current = ["caf", "desy"]
[context.caf]
credential = "caf.jobmon"
[context.desy]
server = "https://head.example.org:8443"
cert = "~/usercert.pem"
key = "/grid/userkey.pem"
ca = "ca.pem"
[context.test]
credential = "/tmp/test.jobmon"
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "config.toml"
    path.write_text(FILE)
    path.chmod(0o600)
    return {"JOBMON_CONFIG": str(path)}


def rewrite(environ: dict[str, str], text: str) -> None:
    Path(environ["JOBMON_CONFIG"]).write_text(text)


def test_the_file_names_the_current_contexts_with_paths_beside_it(environ: dict[str, str], tmp_path: Path) -> None:
    caf, desy = load_contexts(Flags(), environ)

    assert caf == Context("caf", credential=str(tmp_path / "caf.jobmon"))
    assert desy.server == "https://head.example.org:8443"
    assert (desy.key, desy.ca) == ("/grid/userkey.pem", str(tmp_path / "ca.pem"))
    assert desy.cert == os.path.expanduser("~/usercert.pem")


def test_the_environment_comes_before_the_file(environ: dict[str, str]) -> None:
    assert [c.name for c in load_contexts(Flags(), {**environ, "JOBMON_CONTEXT": "test"})] == ["test"]
    assert [c.name for c in load_contexts(Flags(), {**environ, "JOBMON_CONTEXT": "test,caf"})] == ["test", "caf"]
    (alone,) = load_contexts(Flags(), {**environ, "JOBMON_CREDENTIAL": "/x/bob.jobmon"})
    assert alone == Context("bob", credential="/x/bob.jobmon")


def test_flags_come_before_the_environment(environ: dict[str, str]) -> None:
    environ["JOBMON_CREDENTIAL"] = "/x/bob.jobmon"

    assert [c.name for c in load_contexts(Flags(context=("caf",)), environ)] == ["caf"]
    assert load_contexts(Flags(credential="/y/eve.jobmon"), environ)[0].credential == "/y/eve.jobmon"
    parts = Flags(server="https://h:1", cert="c", key="k", ca="a")
    assert load_contexts(parts, environ)[0] == Context("h", server="https://h:1", cert="c", key="k", ca="a")


def test_one_context_needs_not_be_made_current(environ: dict[str, str]) -> None:
    rewrite(environ, '[context.only]\ncredential = "x.jobmon"\n')

    assert [c.name for c in load_contexts(Flags(), environ)] == ["only"]


def test_what_contradicts_itself_is_refused(environ: dict[str, str]) -> None:
    for flags in (
        Flags(context=("caf",), credential="x"),
        Flags(credential="x", server="y"),
        Flags(server="https://h", cert="c"),
    ):
        with pytest.raises(ContextError):
            load_contexts(flags, environ)
    with pytest.raises(ContextError, match="both set"):
        load_contexts(Flags(), {**environ, "JOBMON_CONTEXT": "caf", "JOBMON_CREDENTIAL": "x"})


def test_an_unknown_context_is_named_with_those_that_are_known(environ: dict[str, str]) -> None:
    with pytest.raises(ContextError, match=r"'prod'.*caf, desy, test"):
        load_contexts(Flags(context=("prod",)), environ)


def test_no_credential_anywhere_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(CredentialFileError, match="config add") as caught:
        load_contexts(Flags(), {"JOBMON_CONFIG": str(tmp_path / "none.toml")})
    assert caught.value.exit_status == 7


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_is_refused(environ: dict[str, str], mode: int) -> None:
    assert read_settings(environ).contexts, "the control: with its own mode it is read"
    os.chmod(environ["JOBMON_CONFIG"], mode)

    with pytest.raises(ContextError, match="others can write"):
        read_settings(environ)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("current = [", "not TOML"),
        ("context = 3", "must be a table"),
        ("current = [1]", "list of names"),
        ("[context.a]\ncredential = 1", "table of texts"),
        ('[context.a]\ncredentail = "x"', "unknown key 'credentail'"),
        ('[context.a]\nserver = "https://x"', "needs either"),
        ('[context.a]\ncredential = "x"\nserver = "https://x"', "needs either"),
        ('current = "b"\n[context.a]\ncredential = "x"', "no context 'b'"),
        ('[context.a]\ncredential = "x"\n[context.b]\ncredential = "y"', "no current one"),
    ],
)
def test_a_wrong_file_is_answered_by_a_sentence(environ: dict[str, str], text: str, expected: str) -> None:
    rewrite(environ, text)

    with pytest.raises(ContextError, match=expected) as caught:
        load_contexts(Flags(), environ)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status == 2


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [("open sesame\n", 0, ""), ("wrong\n", 7, "wrong passphrase"), ("\x04", 7, "no passphrase"), ("\x03", 130, "")],
)
def test_a_passphrase_may_be_given_mistyped_or_refused(
    fake: Any, alice: Any, tmp_path: Path, clean_environment: None, answer: str, status: int, said: str
) -> None:
    key = serialization.load_pem_private_key(alice.key.encode(), None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"open sesame"),
    )
    flags = ["--server", fake.url]
    for name, content in (("cert", alice.certificate), ("key", key.decode()), ("ca", alice.server_ca)):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o600)
        flags += [f"--{name}", str(tmp_path / name)]
    fake.rows("GET /v1/jobs")

    ended, seen = answer_prompt([*flags, "jobs"], {}, b": ", answer)

    assert (ended, said in seen) == (status, True), seen
    assert "fault" not in seen

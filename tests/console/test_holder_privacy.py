"""The connection holder is for its user and context alone, and gone when what it holds is no good."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from jobmon_console import holding
from jobmon_console.contexts import Context
from jobmon_wire.credential import Credential
from tests.console.holders import FRONT, PATIENCE, PEER, Person, asked, is_gone, wait_for
from tests.console.prompts import answer_prompt


def test_socket_and_directory_are_the_users_alone(person: Person) -> None:
    person.hold()

    (path,) = person.sockets()
    modes = [found.stat().st_mode & 0o777 for found in (person.directory, path)]
    assert modes == [0o700, 0o600]


def test_no_holder_is_started_where_others_may_look(person: Person) -> None:
    person.directory.mkdir(mode=0o755)

    assert person.run("show", "4711")[0] == 0

    assert (person.sockets(), person.holders()) == ([], [])


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a directory away")
def test_no_holder_is_started_in_somebody_elses_directory(person: Person) -> None:
    os.chown(person.runtime, 65534, 65534)

    assert person.run("show", "4711")[0] == 0

    assert (list(person.runtime.iterdir()), person.holders()) == ([], [])


def test_a_holder_where_others_may_look_is_not_used(person: Person, fake: Any) -> None:
    person.hold()
    before = fake.connections
    person.directory.chmod(0o755)

    assert person.run("show", "4711")[0] == 0

    assert fake.connections == before + 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
@pytest.mark.parametrize(("user", "is_heard"), [(0, True), (65534, False)])
def test_another_user_is_not_heard(person: Person, user: int, is_heard: bool) -> None:
    person.hold()
    (path,) = person.sockets()
    for place in (*path.parents, path):
        if place.is_relative_to(person.runtime):
            place.chmod(0o777)  # what the directory's mode forbids is tried all the same
    program = (
        "import os, socket, sys\n"
        "os.setuid(int(sys.argv[2]))\n"
        "client = socket.socket(socket.AF_UNIX); client.settimeout(10); client.connect(sys.argv[1])\n"
        "try: print(client.recv(1))\n"
        "except ConnectionResetError: print(b'')\n"
    )

    found = subprocess.run(
        [sys.executable, "-c", program, str(path), str(user)],
        capture_output=True,
        text=True,
        env=person.environ,
        stdin=subprocess.DEVNULL,
        check=True,
    )

    assert found.stdout.splitlines()[-1] == repr(holding.TAKEN if is_heard else b"")


@pytest.mark.skipif(
    os.geteuid() != 0 and resource.getrlimit(resource.RLIMIT_CORE)[1] == 0, reason="needs a limit of cores above 0"
)
def test_it_leaves_no_core_behind(person: Person) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (4096, hard if hard == resource.RLIM_INFINITY else max(hard, 4096)))
    try:
        holder = person.hold()
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))

    assert "Max core file size        0 " in Path(f"/proc/{holder}/limits").read_text()


def test_contexts_have_holders_of_their_own(
    person: Person, fake: Any, other_fake: Any, credential_file: Callable[..., str]
) -> None:
    other_fake.document("GET /v1/whoami", PEER)
    other_fake.document("GET /v1/jobs/4711", {"id": "4711", "owner": "bob"})
    other = credential_file(other_fake.url, "other")
    person.hold()
    person.hold(JOBMON_CREDENTIAL=other)

    found = [
        person.run("show", "4711", JOBMON_CREDENTIAL=path)[1] for path in (other, person.environ["JOBMON_CREDENTIAL"])
    ]

    assert ["bob" in text for text in found] == [True, False]
    assert len(person.sockets()) == 2


def test_a_holder_found_under_anothers_name_carries_out_nothing(
    person: Person, fake: Any, other_fake: Any, credential_file: Callable[..., str]
) -> None:
    """Even if two contexts had one hash: the holder compares the context itself."""
    other_fake.document("GET /v1/whoami", PEER)
    other_fake.document("GET /v1/jobs/4711", {"id": "4711", "owner": "bob"})
    other = credential_file(other_fake.url, "other")
    person.hold()
    (ours,) = person.sockets()
    theirs = holding.socket_path(["show"], {**person.environ, "JOBMON_CREDENTIAL": other})
    os.link(ours, theirs)
    before = asked(fake, "GET /v1/jobs/4711")

    status, out, _ = person.run("show", "4711", JOBMON_CREDENTIAL=other)

    assert (status, "bob" in out) == (0, True)
    assert asked(fake, "GET /v1/jobs/4711") == before


def test_a_changed_choice_of_context_is_heeded_at_once(
    person: Person, fake: Any, other_fake: Any, credential_file: Callable[..., str]
) -> None:
    other_fake.document("GET /v1/whoami", PEER)
    other_fake.document("GET /v1/jobs/4711", {"id": "4711", "owner": "bob"})
    other = credential_file(other_fake.url, "other")
    del person.environ["JOBMON_CREDENTIAL"]
    config = Path(person.environ["JOBMON_CONFIG"])
    contexts = f'[context.one]\ncredential = "{config.parent}/alice.jobmon"\n[context.two]\ncredential = "{other}"\n'
    config.write_text('current = "one"\n' + contexts)
    config.chmod(0o600)
    holder = person.hold()

    config.write_text('current = "two"\n' + contexts)

    assert "bob" in person.run("show", "4711")[1]
    wait_for(lambda: is_gone(holder))


def test_a_holder_of_another_version_is_not_looked_for(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    person.hold()
    (path,) = person.sockets()
    assert holding.socket_path(["show", "4711"], person.environ) == str(path)

    monkeypatch.setattr(holding, "__version__", "0.0.9")

    assert holding.socket_path(["show", "4711"], person.environ) != str(path)


HURRIED = """
import sys
from jobmon_console.holder import keeper
keeper.IDLE, keeper.LOOK, keeper.ASK = 1.0, 0.05, 0.2
from jobmon_console.holder.__main__ import main
sys.exit(main())
"""


def test_it_keeps_the_connection_open_by_asking_and_ends_when_nobody_comes(
    person: Person, fake: Any, context: Context
) -> None:
    person.directory.mkdir(mode=0o700)
    path = person.directory / f"x{holding.SUFFIX}"
    told = {"context": context, "configuration": person.environ["JOBMON_CONFIG"], "passphrase": None}

    done = subprocess.run(
        [sys.executable, "-c", HURRIED, str(path)],
        input=json.dumps(told),
        capture_output=True,
        text=True,
        env=person.environ,
        timeout=PATIENCE,
        check=True,
    )

    assert (done.stdout, done.stderr, path.exists()) == ("", "", False)
    assert asked(fake, "GET /v1/whoami") >= 2
    assert fake.connections == 1


def test_it_ends_when_the_credential_changes(person: Person, fake: Any) -> None:
    holder = person.hold()
    credential = Path(person.environ["JOBMON_CREDENTIAL"])
    before = fake.connections

    os.utime(credential)
    status, _, _ = person.run("show", "4711")

    assert (status, fake.connections > before) == (0, True), "the command read the credential itself"
    wait_for(lambda: is_gone(holder))


def test_it_ends_when_the_server_refuses_the_credential(person: Person, fake: Any) -> None:
    holder = person.hold()
    fake.refuse("GET /v1/jobs/4711", "credential-refused", "the certificate was revoked; get a new one")

    status, _, err = person.run("show", "4711")

    assert (status, "revoked" in err) == (7, True)
    wait_for(lambda: is_gone(holder))
    assert person.sockets() == []


def test_it_ends_when_the_server_ends_the_connection(person: Person, fake: Any) -> None:
    def answer_and_go(handler: Any) -> None:
        body = b'{"name":"alice"}'
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = True  # without a word of it, as after a revocation

    fake.routes["GET /v1/whoami"] = answer_and_go

    assert person.run("show", "4711")[0] == 0

    (holder,) = wait_for(person.holders)
    wait_for(lambda: is_gone(holder))
    assert person.sockets() == []


def test_logout_ends_them_all_also_one_that_hangs(
    person: Person, fake: Any, credential_file: Callable[..., str]
) -> None:
    pids = [person.hold(), person.hold(JOBMON_CREDENTIAL=credential_file(fake.url, "second"))]
    os.kill(pids[0], signal.SIGSTOP)

    status, out, _ = person.run("logout")

    assert (status, out) == (0, "2 connection holders ended\n")
    assert person.sockets() == []
    for pid in pids:
        wait_for(lambda pid=pid: is_gone(pid))


@pytest.fixture
def locked(credential_file: Callable[..., str], fake: Any, alice: Credential) -> str:
    key = serialization.load_pem_private_key(alice.key.encode(), None)
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"open sesame"),
    )
    return credential_file(fake.url, "locked", key=text.decode())


def test_a_passphrase_is_asked_once_and_held_by_the_holder_alone(person: Person, fake: Any, locked: str) -> None:
    environ = {**person.environ, "JOBMON_CREDENTIAL": locked}
    prompt = f"Passphrase of {locked}: ".encode()

    assert answer_prompt(["show", "4711"], environ, prompt, "open sesame\n", program=FRONT)[0] == 0
    wait_for(person.sockets)

    with person.begin("show", "4711", JOBMON_CREDENTIAL=locked) as second:
        out, err = second.communicate(timeout=PATIENCE)
    assert (second.returncode, "alice" in out, err) == (0, True, "")
    (holder,) = person.holders()
    said = Path(f"/proc/{holder}/cmdline").read_bytes() + Path(f"/proc/{holder}/environ").read_bytes()
    assert b"sesame" not in said

    person.run("logout")
    status, _, err = person.run("show", "4711", JOBMON_CREDENTIAL=locked)
    assert (status, "passphrase" in err) == (7, True)

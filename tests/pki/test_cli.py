"""``jobmon pki``: what it prints, what it writes, and one line with the right exit status when it cannot."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jobmon_pki.cli import main, parse_duration
from jobmon_pki.ledger import Ledger
from jobmon_pki.profiles import DAY, HOUR
from jobmon_pki.site import Site
from jobmon_wire.credential import Credential, open_credential

ALICE = "/DC=org/DC=example/O=Example/OU=People/CN=alice"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(site: Site, now: float, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command on the site: exit status, stdout, stderr."""

    def call(command: str, *arguments: object, at: float = now) -> tuple[int, str, str]:
        status = main([command, "--site", str(site.directory), *map(str, arguments)], lambda: at)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def _credential(path: Path) -> Credential:
    descriptor, credential = open_credential(str(path))
    os.close(descriptor)
    return credential


def _serials(site: Site, role: str | None = None) -> list[str]:
    with Ledger(site.ledger_path) as ledger:
        return [row.serial for row in ledger.rows(role)]


def _is_one_line(text: str) -> bool:
    return text.startswith("jobmon: ") and text.count("\n") == 1 and text.endswith("\n") and "; " in text


def test_a_person_is_issued_a_credential(run: Run, tmp_path: Path) -> None:
    status, out, err = run("issue", "--person", "alice", "--out", tmp_path / "a.jobmon")

    assert (status, err) == (0, "")
    assert out.startswith(f"{tmp_path}/a.jobmon: owner {ALICE} until 20")
    assert _credential(tmp_path / "a.jobmon").role == "owner"


def test_an_administrator_is_one_of_the_clusters_named(run: Run, tmp_path: Path) -> None:
    run("issue", "--person", "root", "--admin", "caf", "--admin", "desy", "--out", tmp_path / "r.jobmon")

    assert _credential(tmp_path / "r.jobmon").role == "admin"
    assert json.loads(run("show", "--json", tmp_path / "r.jobmon")[1])["clusters"] == ["caf", "desy"]


def test_jobs_are_issued_into_a_private_directory(run: Run, tmp_path: Path) -> None:
    status, out, _ = run("issue-job", "--owner", "alice", "--id", "1", "2", "--id", "3", "--out", tmp_path / "jobs")

    assert status == 0
    assert out.count("\n") == 3
    assert sorted(path.name for path in (tmp_path / "jobs").iterdir()) == ["1.jobmon", "2.jobmon", "3.jobmon"]
    assert _credential(tmp_path / "jobs" / "2.jobmon").holder == ALICE + "/CN=2"
    assert (tmp_path / "jobs").stat().st_mode & 0o777 == 0o700


def test_nothing_is_issued_when_there_is_no_room_for_the_file(run: Run, site: Site, tmp_path: Path) -> None:
    (tmp_path / "2.jobmon").write_text("mine")

    for command in (
        ("issue", "--person", "alice", "--out", tmp_path / "2.jobmon"),
        ("issue-job", "--owner", "alice", "--id", "1", "2", "--out", tmp_path),
    ):
        status, out, err = run(*command)
        assert (status, out) == (1, "")
        assert _is_one_line(err)
        assert "exists already" in err
    assert _serials(site, "owner") == _serials(site, "job") == []


def test_the_list_is_of_what_is_valid_unless_all_is_wanted(run: Run, tmp_path: Path, now: float) -> None:
    run("issue", "--person", "alice", "--lifetime", "1h", "--out", tmp_path / "a.jobmon")
    run("issue", "--person", "bob", "--out", tmp_path / "b.jobmon")
    run("issue-job", "--owner", "alice", "--id", "1", "--out", tmp_path)
    run("revoke", tmp_path / "b.jobmon")

    def roles(*arguments: str) -> list[tuple[str, str]]:
        _, out, _ = run("list", "--json", *arguments, at=now + 2 * HOUR)
        return [(row["role"], row["state"]) for row in map(json.loads, out.splitlines())]

    assert roles() == [("server", "valid"), ("job", "valid")]
    assert roles("--all") == [("server", "valid"), ("owner", "expired"), ("owner", "revoked"), ("job", "valid")]
    assert roles("--owner", "alice") == [("job", "valid")]
    assert roles("--owner", ALICE, "--all", "--role", "owner") == [("owner", "expired")]
    table = run("list")[1].splitlines()
    assert table[0].split() == ["SERIAL", "ROLE", "HOLDER", "JOB", "UNTIL", "STATE"]
    assert len(table) == 4


def test_a_certificate_is_shown_by_its_file_or_the_beginning_of_its_serial(
    run: Run, site: Site, tmp_path: Path
) -> None:
    run("issue", "--person", "alice", "--out", tmp_path / "a.jobmon")
    [serial] = _serials(site, "owner")

    by_file, by_prefix = run("show", tmp_path / "a.jobmon"), run("show", serial[:12].upper())

    assert by_file == by_prefix
    assert f"serial:      {serial}\n" in by_file[1]


def test_a_name_is_shown_as_it_is_written(run: Run, tmp_path: Path) -> None:
    run("issue", "--person", "a/b", "--out", tmp_path / "a.jobmon")

    assert "/OU=People/CN=a\\/b\n" in run("show", tmp_path / "a.jobmon")[1]
    assert run("list", "--owner", "a/b")[1].count("valid") == 1
    assert run("issue", "--person", "a\0b", "--out", tmp_path / "b.jobmon")[2].startswith("jobmon: CN=a\\u0000b holds")


def test_a_revoked_person_loses_everything_and_may_start_anew(run: Run, site: Site, tmp_path: Path) -> None:
    run("issue", "--person", "alice", "--out", tmp_path / "a.jobmon")
    run("issue-job", "--owner", "alice", "--id", "1", "--out", tmp_path)

    status, out, _ = run("revoke", "--owner", "alice", "--why", "laptop \x1b[2J stolen")

    assert status == 0
    assert out.count("revoked") == 2
    with Ledger(site.ledger_path) as ledger:
        assert len(ledger.revoked()) == 2
    shown = run("show", tmp_path / "1.jobmon")[1]
    assert "laptop \\u001b[2J stolen" in shown
    assert run("revoke", "--owner", "alice")[1].startswith("nothing left to revoke")
    assert run("issue", "--person", "alice", "--out", tmp_path / "new.jobmon")[0] == 0
    assert run("list", "--owner", "alice")[1].count("valid") == 1


def test_a_credential_is_renewed_in_its_place(run: Run, tmp_path: Path, now: float) -> None:
    for path in (tmp_path / "r.jobmon", tmp_path / "1.jobmon"):
        if path.name == "r.jobmon":
            run("issue", "--person", "root", "--admin", "caf", "--lifetime", "1h", "--out", path)
        else:
            run("issue-job", "--owner", "alice", "--id", "1", "--lifetime", "1h", "--out", tmp_path)
        old = _credential(path)

        status, _, _ = run("renew", path, "--lifetime", "2h", at=now + 3 * HOUR)

        new = _credential(path)
        assert status == 0
        assert new == old._replace(certificate=new.certificate)
        assert new.certificate != old.certificate
        assert json.loads(run("show", "--json", path)[1])["role"] == new.role


def test_a_revoked_credential_is_not_renewed(run: Run, tmp_path: Path) -> None:
    run("issue", "--person", "alice", "--out", tmp_path / "a.jobmon")
    run("revoke", tmp_path / "a.jobmon")
    before = (tmp_path / "a.jobmon").read_text()

    status, _, err = run("renew", tmp_path / "a.jobmon")

    assert status == 1
    assert _is_one_line(err)
    assert "was revoked" in err
    assert (tmp_path / "a.jobmon").read_text() == before


def test_the_server_is_renewed_for_its_hosts_or_for_others(run: Run, site: Site, now: float) -> None:
    before = site.server_certificate.read_text()

    assert run("renew", "--server", at=now + DAY)[0] == 0
    assert run("renew", "--server", "--host", "head.example.org", at=now + DAY)[0] == 0

    assert site.server_certificate.read_text() != before
    assert len(_serials(site, "server")) == 3


def test_a_server_is_not_revoked_since_nobody_would_know(run: Run, site: Site) -> None:
    status, _, err = run("revoke", _serials(site, "server")[0])

    assert status == 1
    assert _is_one_line(err)
    assert "make a new site" in err


def test_a_credential_of_another_site_is_not_ours(run: Run, site: Site, tmp_path: Path, now: float) -> None:
    other = Site.create(
        tmp_path / "other", ["localhost"], "caf", site.base, "https://localhost:1", "https://localhost:2", now
    )
    assert main(["issue", "--site", str(other.directory), "--person", "alice", "--out", f"{tmp_path}/a.jobmon"]) == 0

    for command in ("show", "revoke", "renew"):
        status, _, err = run(command, tmp_path / "a.jobmon")
        assert status == 1
        assert "was not issued by this site" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["issue", "--person", "alice"], "--out"),
        (["issue", "--pers", "alice", "--out", "x"], "--person"),  # no abbreviations: a later option may take them
        (["issue", "--person", "al  ice", "--out", "x"], "two in a row"),
        (["issue", "--person", "alice", "--lifetime", "8d", "--out", "x"], "at most 7 d"),
        (["issue", "--person", "alice", "--lifetime", "soon", "--out", "x"], "90s, 24h or 7d"),
        (["issue", "--person", "alice", "--lifetime", "0s", "--out", "x"], "lifetime of 0 s"),
        (["issue", "--person", "alice", "--admin", "a b", "--out", "x"], "name of a cluster"),
        (["issue-job", "--owner", "alice", "--id", "a/b", "--out", "x"], "job id"),
        (["issue-job", "--owner", "alice", "--id", "1", "1", "--out", "x"], "named twice"),
        (["list", "--role", "king"], "invalid choice"),
        (["list", "\x1b]0;x\x07"], "unrecognized arguments: \\u001b]0;x\\u0007"),
        (["show"], "SERIAL|FILE"),
        (["show", "alice"], "neither a file"),
        (["show", "ab"], "6 or more digits"),
        (["revoke"], "revoke what?"),
        (["revoke", "abcdef", "--owner", "alice"], "revoke what?"),
        (["renew"], "renew what?"),
        (["renew", "x.jobmon", "--host", "a"], "--host goes with --server"),
        (["frobnicate"], "invalid choice"),
    ],
)
def test_a_wrong_command_line_is_said_in_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)

    status, out, err = run(arguments[0], *arguments[1:])

    assert (status, out) == (2, "")
    assert _is_one_line(err)
    assert says in err


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["show", "abcdef"], 1, "no serial number begins with abcdef"),
        (["revoke", "--owner", "nobody"], 1, "nothing was issued here to"),
        (["show", "none.jobmon"], 7, "cannot open the credential none.jobmon"),
        (["show", "shared.jobmon"], 7, "others can read"),
        (["renew", "text.jobmon"], 7, "is no JobMon credential"),
        (["issue", "--person", "alice", "--out", "none/a.jobmon"], 1, "cannot write none/a.jobmon"),
        (["issue-job", "--owner", "alice", "--id", "1", "--out", "text.jobmon"], 1, "cannot make text.jobmon"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], status: int, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, mode in (("shared.jobmon", 0o644), ("text.jobmon", 0o600)):
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(mode)

    found, out, err = run(arguments[0], *arguments[1:])

    assert (found, out) == (status, "")
    assert _is_one_line(err)
    assert says in err


def test_a_damaged_ledger_is_said_in_one_line(run: Run, site: Site) -> None:
    for path in site.directory.glob("ledger.sqlite-*"):
        path.unlink()
    site.ledger_path.write_bytes(b"no ledger" * 500)

    status, out, err = run("list")

    assert (status, out) == (1, "")
    assert _is_one_line(err)
    assert "is damaged" in err


@pytest.mark.parametrize("command", ["issue", "issue-job", "list", "show", "revoke", "renew"])
def test_every_command_has_help_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0

    assert f"example: jobmon pki {command} --site" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("24h", DAY), ("7d", 7 * DAY), ("1d12h", 36 * HOUR)]
)
def test_a_duration_is_read_with_its_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "h", "1.5h", "-1h", "1h ", "1 h", "1w", "١h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="was expected"):
        parse_duration(text)


def test_a_name_beyond_the_terminals_encoding_is_shown_by_its_numbers(run: Run, site: Site, tmp_path: Path) -> None:
    assert run("issue", "--person", "名前", "--out", tmp_path / "n.jobmon")[0] == 0
    program = "import sys; from jobmon_pki.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "list", "--site", str(site.directory)]

    done = subprocess.run(command, env={"PYTHONIOENCODING": "ascii"}, capture_output=True, check=True)

    assert b"CN=\\u540d\\u524d" in done.stdout


def test_a_reader_that_has_had_enough_is_no_error(site: Site, now: float) -> None:
    site.issue_job_credentials("alice", [str(number) for number in range(400)], None, now)
    program = "import sys; from jobmon_pki.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "list", "--json", "--site", str(site.directory)]

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.readline()
        running.stdout.close()

        assert running.stderr.read() == b""
        assert running.wait(30) == 0

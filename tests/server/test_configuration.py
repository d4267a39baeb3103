"""An operator's mistake is told in one sentence that names the key; what --init writes is good as it is."""

import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from jobmon_server.configuration import Address, ConfigurationError, read_configuration
from jobmon_server.site_setup import SetupError, Wish, set_up


def _write(directory: Path, text: str) -> Path:
    path = directory / "server.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    configuration = read_configuration(_write(tmp_path, ""))

    assert configuration.site == tmp_path
    assert (configuration.users, configuration.agents) == (Address("0.0.0.0", 8443), Address("0.0.0.0", 8444))
    assert (configuration.ping, configuration.lost_after, configuration.retention) == (10.0, 3600.0, 30 * 86400.0)
    assert configuration.shell == "off"


def test_the_site_is_relative_to_the_file(tmp_path: Path) -> None:
    assert read_configuration(_write(tmp_path, 'site = "../elsewhere"')).site == tmp_path.parent / "elsewhere"
    assert read_configuration(_write(tmp_path, 'site = "/srv/jobmon"')).site == Path("/srv/jobmon")


def test_addresses_of_both_families_are_taken(tmp_path: Path) -> None:
    configuration = read_configuration(_write(tmp_path, 'users = "[::1]:1"\nagents = "head.example.org:65535"'))

    assert (configuration.users, configuration.agents) == (Address("::1", 1), Address("head.example.org", 65535))
    assert str(configuration.users) == "[::1]:1"


def test_gateways_are_addresses_and_networks_of_both_families(tmp_path: Path) -> None:
    configuration = read_configuration(_write(tmp_path, 'nat = ["192.0.2.7", "198.51.100.0/24", "2001:db8::/48"]'))

    assert [str(network) for network in configuration.nat] == ["192.0.2.7/32", "198.51.100.0/24", "2001:db8::/48"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("usres = 1", ["unknown key 'usres'", "users"]),
        ("[users]\nport = 1", ["users is", "an address and a port"]),
        ('users = "8443"', ["users is '8443'", "an address and a port"]),
        ('users = "::1:8443"', ["users is"]),
        ('users = "host:99999"', ["users is"]),
        ('users = "host:-1"', ["users is"]),
        ('users = "host:\u0661"', ["users is"]),
        ('agents = ":1"', ["agents is"]),
        ('users = "h:1"\nagents = "h:1"', ["users and agents are the same"]),
        ("ping = true", ["ping is True", "seconds from 0.2 to 600"]),
        ('ping = "10"', ["ping is '10'"]),
        ("ping = nan", ["ping is nan"]),
        ("ping = 0", ["ping is 0"]),
        ("ping = 100\nlost_after = 200", ["lost_after is less than three beats"]),
        ("retention = 1", ["retention is 1"]),
        ('log = "loud"', ["log is 'loud'", "debug, info"]),
        ("shell = true", ["shell is True", "off, owner, all"]),
        ("site = 3", ["site is 3", "a text"]),
        ('site = ""', ["site is ''"]),
        ('nat = "192.0.2.7"', ["nat is", "a list of addresses"]),
        ("nat = [7]", ["nat is", "a list of addresses"]),
        ('nat = ["192.0.2.7/8"]', ["nat is", "has host bits set"]),
        ("ping = ", ["is not TOML"]),
        ("ping = 1\nping = 2", ["is not TOML"]),
    ],
)
def test_a_mistake_is_told_with_its_key(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_configuration(_write(tmp_path, text))

    assert all(word in str(caught.value) for word in words)
    assert str(caught.value).startswith(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "server.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="is not TOML"):
        read_configuration(tmp_path / "server.toml")
    with pytest.raises(ConfigurationError, match="No such file"):
        read_configuration(tmp_path / "other.toml")
    with pytest.raises(ConfigurationError, match="Is a directory"):
        read_configuration(tmp_path)
    with pytest.raises(ConfigurationError, match="longer than"):
        read_configuration(_write(tmp_path, "#" * 100_000))


def _wish(directory: Path, *hosts: str, cluster: str = "", base: str = "") -> Wish:
    return Wish(directory, hosts, cluster, base, 8443, 8444)


def test_a_new_sites_file_is_read_and_all_that_it_proposes_too(tmp_path: Path) -> None:
    site = set_up(_wish(tmp_path / "site", "head.example.org", "10.0.0.1"), time.time())

    as_written = read_configuration(site.config_path)
    text = site.config_path.read_text().replace("\n#", "\n")
    uncommented = "\n".join(line for line in text.splitlines() if re.match("[a-z_]+ = ", line))
    proposed = read_configuration(_write(tmp_path, uncommented))

    assert as_written == proposed._replace(site=as_written.site)
    keys = {"site", "users", "agents", "callback", "ping", "beat", "quiet", "lost_after", "retention", "log", "shell"}
    assert set(tomllib.loads(uncommented)) == keys | {"metrics", "nat"}
    assert as_written.site == site.directory
    assert (site.cluster, site.users_url) == ("head", "https://head.example.org:8443")
    assert site.base == (
        ("0.9.2342.19200300.100.1.25", "org"),
        ("0.9.2342.19200300.100.1.25", "example"),
        ("2.5.4.10", "head"),
    )


def test_a_site_for_one_machine_listens_on_that_machine_alone(tmp_path: Path) -> None:
    site = set_up(_wish(tmp_path / "site", "localhost", "127.0.0.1"), time.time())

    assert read_configuration(site.config_path).users == Address("127.0.0.1", 8443)


def test_the_two_ports_must_differ(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="8443"):
        set_up(_wish(tmp_path / "site", "localhost")._replace(agents_port=8443), time.time())

    assert not (tmp_path / "site").exists()


def _init(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "jobmon_server", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_init_says_the_next_three_steps(tmp_path: Path) -> None:
    done = _init("--init", str(tmp_path / "site"), "--host", "localhost", "--cluster", "caf")

    assert (done.returncode, done.stderr) == (0, "")
    assert all(step in done.stdout for step in ("1. start", "2. give", "3. run", str(tmp_path / "site/server.toml")))


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--init", "OCCUPIED", "--host", "localhost"], 1, "occupied"),
        (["--init", "NEW"], 2, "--host"),
        (["--init", "NEW", "--host", "h", "--check"], 2, "--check"),
        (["--init", "NEW", "--host", "bad host"], 1, "bad host"),
        (["--init", "NEW", "--host", "h", "--base", "CN=x,O=y"], 1, "CN=x"),
        (["--init", "NEW", "--host", "h", "--users-port", "0"], 2, "no port"),
        (["--init", "NEW", "--host", "h", "--cluster", "a b"], 1, "a b"),
        ([], 2, "required"),
        (["--config"], 2, "expected one argument"),
        (["--nonsense"], 2, "--"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_sentence(
    tmp_path: Path, arguments: list[str], status: int, words: str
) -> None:
    (tmp_path / "occupied").mkdir()
    (tmp_path / "occupied/file").touch()
    places = {"OCCUPIED": str(tmp_path / "occupied"), "NEW": str(tmp_path / "new")}

    done = _init(*(places.get(argument, argument) for argument in arguments))

    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith("jobmon: ")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr
    assert "; " in done.stderr
    assert not (tmp_path / "new").exists()
    assert [path.name for path in (tmp_path / "occupied").iterdir()] == ["file"]

"""A worker node behind a gateway, and the world outside: three network namespaces of one test's own.

::

    worker 10.77.1.2 -- 10.77.1.1 gateway 10.77.2.1 -- 10.77.2.2 outside

Nothing leads from them to the machine's own network.  The gateway writes its own
address over the worker's and lets nobody in.  The namespaces have no names: they
last as long as a process or a descriptor holds them, so they go with the tests,
whatever ends those, and any number of labs stand side by side.

A thread is in one namespace at a time, and what it starts is born there; the
test itself stands outside.
"""

import contextlib
import ctypes
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from tests.network.wan import DEVICE, Wan, Way, open_device

WORKER, OUTSIDE = "10.77.1.2", "10.77.2.2"
GATEWAY_IN, GATEWAY_OUT = "10.77.1.1", "10.77.2.1"
NEEDED = {"ip": "iproute2", "nft": "nftables", "conntrack": "conntrack", "nsenter": "util-linux"}  # and its package
ESTABLISHED = "01"  # a TCP state, as /proc/net/tcp has it

_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)

_RULES = """
table ip lab {
  counter beats { }
  chain weather { }
  chain passing {
    type filter hook forward priority 0; policy drop;
    iifname "inner" meta l4proto udp counter name beats
    jump weather
    ct state established,related accept
    iifname "inner" oifname "outer" accept
  }
  chain leaving {
    type nat hook postrouting priority 100;
  }
}
"""


def missing() -> str:
    """What this machine lacks for a lab, as a sentence; empty where it lacks nothing."""
    if os.geteuid():
        return "network namespaces need root"
    if not os.path.exists(DEVICE):
        return f"there is no {DEVICE}; the kernel has no module tun, or nobody has loaded it"
    for command, package in NEEDED.items():
        if shutil.which(command) is None:
            return f"the command {command} is missing; install {package}"
    return ""


@contextlib.contextmanager
def own_network() -> Iterator[None]:
    """The calling thread stands alone meanwhile, with nothing but loopback: no stranger takes a port there."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.close(_new_namespace())
        _run("ip", "link", "set", "lo", "up")
        yield
    finally:
        _set_namespace(home)
        os.close(home)


def give_ports(first: int, last: int) -> None:
    """From which ports, where the calling thread stands, the kernel takes those that nobody has named."""
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text(f"{first} {last}")


class Lab:
    """The three places; use it as a context manager: inside it the calling thread stands outside the gateway.

    Args:
        is_wide: the way from the gateway to what is outside is one that ``lengthen`` can make long.
    """

    def __init__(self, is_wide: bool = False) -> None:
        self._is_wide = is_wide
        self._wan: Wan | None = None
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._places: dict[str, int] = {}

    def __enter__(self) -> "Lab":
        try:
            for place in ("worker", "gateway", "outside"):
                self._places[place] = _new_namespace()
            self._build()
            self._enter("outside")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        _set_namespace(self._home)
        if self._wan is not None:
            self._wan.close()
        for descriptor in (self._home, *self._places.values()):
            os.close(descriptor)

    @contextlib.contextmanager
    def at(self, place: Literal["worker", "gateway", "outside"]) -> Iterator[None]:
        """The calling thread stands in that place meanwhile; sockets made there stay there."""
        self._enter(place)
        try:
            yield
        finally:
            self._enter("outside")

    @property
    def on_worker(self) -> tuple[str, ...]:
        """What a command line begins with that is to run on the worker node."""
        return ("nsenter", f"--net={self._path('worker')}")

    # The gateway

    def weather(self, *rules: str) -> None:
        """What happens to what passes the gateway, until the next weather; none: all passes."""
        added = "\n".join(f"add rule ip lab weather {rule}" for rule in rules)
        self._nft(f"flush chain ip lab weather\n{added}\n")

    def lose(self, share: float) -> None:
        """So much of what passes the gateway is lost, either way."""
        self.weather(f"numgen random mod 1000 < {round(share * 1000)} drop" if share else "accept")

    def lengthen(self, way: Way) -> None:
        """Make the way to what is outside such a one."""
        assert self._wan is not None
        self._wan.way = way

    def cut(self, port: int) -> None:
        """Connections from that port of the worker node end without a word: no packet of them passes any more."""
        self.weather(f"meta l4proto tcp ct original proto-src {port} drop")

    def forget(self, ports: str) -> None:
        """The gateway forgets every mapping, and takes others from now on.

        Args:
            ports: from which its own are taken, as ``"30000-30999"``.
        """
        self._nft(
            "flush chain ip lab leaving\n"
            f'add rule ip lab leaving oifname "outer" meta l4proto udp masquerade to :{ports}\n'
            'add rule ip lab leaving oifname "outer" masquerade\n'
        )
        with self.at("gateway"):
            _run("conntrack", "-F")

    def settle(self) -> None:
        """Fair weather, and no mapping of anything that was."""
        self.weather()
        self.forget("20000-29999")

    def keep_mappings_for(self, seconds: int) -> None:
        """How long a mapping for datagrams outlives the last of them."""
        with self.at("gateway"):
            for name in ("nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"):
                Path("/proc/sys/net/netfilter", name).write_text(str(seconds))

    def mappings(self) -> set[int]:
        """The gateway's ports that stand for datagrams of the worker node just now."""
        with self.at("gateway"):
            listing = _run("conntrack", "-L", "-p", "udp", "--orig-src", WORKER)
        return {int(port) for port in re.findall(rf"dst={re.escape(GATEWAY_OUT)} sport=\d+ dport=(\d+)", listing)}

    def sent(self) -> int:
        """Datagrams that have come from the worker node, whatever became of them."""
        with self.at("gateway"):
            listing = _run("nft", "list", "counter", "ip", "lab", "beats")
        return int(re.findall(r"packets (\d+)", listing)[0])

    # Connections

    def connections(self, port: int) -> set[int]:
        """The worker's ports with an open connection to that port outside, as the worker node sees it."""
        with self.at("worker"):
            return _established(remote=port)

    def accepted(self, port: int) -> int:
        """Connections that are open to that port, as the machine outside sees it."""
        return len(_established(local=port))

    # Building

    def _build(self) -> None:
        for place in self._places:
            with self.at(place):  # type: ignore[arg-type]
                _run("ip", "link", "set", "lo", "up")
        with self.at("gateway"):
            self._join("inner", "worker")
            if self._is_wide:
                self._wan = Wan(open_device("outer"), self._at_the_end())
            else:
                self._join("outer", "outside")
            _plug("inner", GATEWAY_IN)
            _plug("outer", GATEWAY_OUT)
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
            self._nft(_RULES)
            self.settle()
        with self.at("worker"):
            _plug("net", WORKER)
            _run("ip", "route", "add", "default", "via", GATEWAY_IN)
        with self.at("outside"):
            _plug("net", OUTSIDE)

    def _join(self, link: str, place: str) -> None:
        """A cable from the gateway, where it is called that, to another place."""
        _run("ip", "link", "add", link, "type", "veth", "peer", "name", "net", "netns", self._path(place))

    def _at_the_end(self) -> int:
        self._enter("outside")
        try:
            return open_device("net")
        finally:
            self._enter("gateway")

    def _nft(self, rules: str) -> None:
        with self.at("gateway"):
            _run("nft", "-f", "-", said=rules)

    def _enter(self, place: str) -> None:
        _set_namespace(self._places[place])

    def _path(self, place: str) -> str:
        return f"/proc/{os.getpid()}/fd/{self._places[place]}"


def _new_namespace() -> int:
    """Move the calling thread into a new one; give its descriptor."""
    if _LIBC.unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare: no network namespace")
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _plug(link: str, address: str) -> None:
    _run("ip", "address", "add", f"{address}/24", "dev", link)
    _run("ip", "link", "set", link, "up")


def _established(local: int = 0, remote: int = 0) -> set[int]:
    """Local ports of open TCP connections where the calling thread stands."""
    found = set()
    for line in Path("/proc/thread-self/net/tcp").read_text().splitlines()[1:]:
        _, here, there, state, *_ = line.split()
        ports = int(here.rpartition(":")[2], 16), int(there.rpartition(":")[2], 16)
        if state == ESTABLISHED and local in (0, ports[0]) and remote in (0, ports[1]):
            found.add(ports[0] if remote else ports[1])
    return found


def _set_namespace(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns: cannot enter a network namespace")


def _run(*command: str, said: str | None = None) -> str:
    done = subprocess.run(command, input=said, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout

"""How long one command takes on a running job, beside what a process costs at all.

Run after ``make``::

    .venv/bin/python benchmarks/commands.py [--runs 15]

Brings up a demo, runs each command as a person would (a new process, a cold
TLS connection) and prints a table.  The limits are measured in the same run: an
interpreter that does nothing, and one that opens the same mutual TLS connection
and asks ``whoami`` with nothing of ours imported.  Each command's ratio is to the
second, pair by pair.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

JOBMON = [str(Path(sys.executable).with_name("jobmon"))]
NOTHING = [sys.executable, "-I", "-S", "-c", "pass"]
HANDSHAKE = """
import http.client, ssl, sys
path, host, port = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
text = open(path).read().split("-----BEGIN JOBMON SERVER CA-----")[1].split("-----END")[0]
context.load_verify_locations(cadata="-----BEGIN CERTIFICATE-----" + text + "-----END CERTIFICATE-----\\n")
context.load_cert_chain(path)
connection = http.client.HTTPSConnection(host, int(port), context=context)
connection.request("GET", "/v1/whoami")
connection.getresponse().read()
"""
CHOSEN = "demo-print-1"  # a job of the demo that goes on
COMMANDS = {
    "jobs --json": ["jobs", "--json"],
    "ps": ["ps", "{job}"],
    "top -n 2 -d 0.2": ["top", "-n", "2", "-d", "0.2", "{job}"],
    "ls -l": ["ls", "-l", "{job}"],
    "head -n 3": ["head", "-n", "3", "{job}"],
    "tail": ["tail", "{job}"],
    "node": ["node", "{job}"],
    "log": ["log", "{job}"],
    "audit": ["audit", "{job}"],
}


def seconds(command: list[str]) -> float:
    """Wall time of one run."""
    started = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, timeout=60)
    return time.perf_counter() - started


def row(name: str, times: list[float], ratios: list[float]) -> str:
    """One line of the table, milliseconds."""
    ordered = sorted(times)
    low, middle, high = ordered[0], statistics.median(ordered), ordered[-1]
    ratio = f"{statistics.median(ratios):5.2f}" if ratios else "     "
    return f"{name:<18} {low * 1e3:8.0f} {middle * 1e3:8.0f} {high * 1e3:8.0f}   {ratio}"


def measure(site: dict[str, object], runs: int) -> None:
    """Print the table for a running demo."""
    config = Path(str(site["config"]))
    credential = next(config.parent.rglob("alice.jobmon"))
    host, _, port = str(site["server"]).removeprefix("https://").partition(":")
    handshake = [sys.executable, "-I", "-S", "-c", HANDSHAKE, str(credential), host, port]
    print(f"{platform.platform()}, Python {platform.python_version()}, {runs} runs each, milliseconds of wall time")
    print(f"{'command':<18} {'min':>8} {'median':>8} {'max':>8}   to the bare request")
    print(row("python -c pass", [seconds(NOTHING) for _ in range(runs)], []))
    print(row("bare request", [seconds(handshake) for _ in range(runs)], []))
    for name, words in COMMANDS.items():
        command = [*JOBMON, *(word.format(job=CHOSEN) for word in words)]
        pairs = [(seconds(command), seconds(handshake)) for _ in range(runs)]
        print(row(name, [ours for ours, _ in pairs], [ours / bare for ours, bare in pairs]))


def main() -> None:
    """Bring up a demo, measure, take it down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=15)
    arguments = parser.parse_args()
    demo = subprocess.Popen([*JOBMON, "demo", "--headless", "--jobs", "8"], stdout=subprocess.PIPE, text=True)
    try:
        assert demo.stdout is not None
        site = json.loads(demo.stdout.readline())
        os.environ["JOBMON_CONFIG"] = str(site["config"])
        measure(site, arguments.runs)
    finally:
        demo.terminate()
        demo.wait()


if __name__ == "__main__":
    main()

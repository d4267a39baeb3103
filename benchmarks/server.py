"""What the server bears, beside the least that anything could: registrations, beats, crowds, round trips.

Run after ``make``::

    .venv/bin/python benchmarks/server.py [--runs 5] [--jobs 100000] [--only crowds trips]

Each part brings up a throw-away site with a real server on this machine and
simulated agents, see ``fleet.py``.  Rates are by the CPU of the server's process
alone, all its threads: what runs beside it makes it slower, hardly dearer.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from benchmarks.measures import crowds, datagrams, registrations, trips
from benchmarks.table import Row, show

RUNS = 5  # repetitions of a rate
PARTS = ("registrations", "beats", "trips", "channels", "storm", "crowds")


def rows(runs: int = RUNS, jobs: int = crowds.JOBS, only: Sequence[str] = PARTS) -> Iterator[Row]:
    """Measure, a row after the other.

    Args:
        runs: repetitions of each rate.
        jobs: of the crowd.
        only: parts to measure.
    """
    if "registrations" in only:
        yield from registrations.rows(runs)
    if "beats" in only:
        yield from datagrams.rows(runs)
    if "trips" in only:
        yield from trips.rows()
    if "channels" in only:
        yield crowds.channels()
    if "storm" in only:
        yield from crowds.storm()
    if "crowds" in only:
        yield from crowds.beating(jobs)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--jobs", type=int, default=crowds.JOBS, help="jobs of the crowd that beats")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to measure")
    arguments = parser.parse_args()
    show(rows(arguments.runs, arguments.jobs, arguments.only))


if __name__ == "__main__":
    main()

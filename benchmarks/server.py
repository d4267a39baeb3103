"""What the server bears, beside the least that anything could: registrations, beats, crowds, round trips.

Run after ``make``::

    .venv/bin/python benchmarks/server.py [--runs 5] [--jobs 100000] [--only crowds trips]

Each part brings up a throw-away site with a real server on this machine and
simulated agents, see ``fleet.py``.  Rates are by the CPU of the server's process
alone, all its threads: what runs beside it makes it slower, hardly dearer.
"""

import argparse
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
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
    parts: dict[str, Callable[[], Iterable[Row]]] = {
        "registrations": lambda: registrations.rows(runs),
        "beats": lambda: datagrams.rows(runs),
        "trips": trips.rows,
        "channels": lambda: [crowds.channels()],
        "storm": crowds.storm,
        "crowds": lambda: crowds.beating(jobs),
    }
    for name in only:
        try:
            yield from parts[name]()
        except Exception as error:  # a part that fails on a busy machine must not be the end of the others
            yield Row(f"{name}: the rest", [], "", note=f"could not be measured: {type(error).__name__} {error}"[:200])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--jobs", type=int, default=crowds.JOBS, help="jobs of the crowd that beats")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to measure")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that nothing is left behind
    show(rows(arguments.runs, arguments.jobs, arguments.only))


if __name__ == "__main__":
    main()

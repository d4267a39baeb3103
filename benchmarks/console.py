"""The console before 100,000 jobs of which 1,000 change every second, and before a job that prints without end.

Run after ``make``; it takes some ten minutes, most of them for the fleet to come up::

    .venv/bin/python benchmarks/console.py
    .venv/bin/python benchmarks/console.py --jobs 5000 --only list

The fleet is that of ``benchmarks/fleet.py``, the job that prints runs under the
real agent.  The console runs in a terminal of its own, and times are taken
there: from writing a key to a screen that shows what it did.  Beside each
figure stands that of Textual's own table or log with as many rows, lines and
changes, in the same run and the same kind of terminal.
"""

import argparse
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from textual.color import Color

from benchmarks.measures.people import quantile
from benchmarks.measures.terminal import Answer, Screen, Terminal
from benchmarks.simulation.real import RealJobs
from benchmarks.simulation.throwaway import Throwaway
from benchmarks.table import Row, at_most, show
from jobmon_console.tui.theme import DARK
from jobmon_pki.credential_files import write_credential
from jobmon_wire.selectors import FIELDS, SelectorError, parse_selector

JOBS, RATE = 100_000, 1_000  # jobs, and changes a second
LINES = 50_000  # lines a second that a job prints
KEYS = 100  # presses of a key
STOCK_KEYS = 20  # of Textual's own table, which takes half a second for each
PAUSE = 0.1  # s between two of them: faster than a person who reads
SETTLED = 5.0  # s after the list is whole until it is measured
WINDOW = 20.0  # s over which a processor's share is taken
STOCK_START = 600.0  # s for Textual's own table to show 100,000 rows
FILTERS = ("wn0042", "cpu>300", "reco owner:alice")  # a word, a number, and two parts that must both hold
OWNER = "alice"
CURSOR = Color.parse(DARK.variables["cursor-background"])
BEHIND = f"{CURSOR.r};{CURSOR.g};{CURSOR.b}"  # the colour behind the cursor's row, as a terminal is told of it
STOCK = [sys.executable, str(Path(__file__).parent / "measures" / "stock.py")]
FLOOD = """
import sys, time
rate, block, lines = {rate}, {rate} // 50, 0
text = "{{:>12}} event a line as a job prints one, of seventy-one characters\\n"
begun = time.monotonic()
while True:
    sys.stdout.write("".join(text.format(lines + number) for number in range(block)))
    sys.stdout.flush()
    lines += block
    time.sleep(max(0.0, begun + lines / rate - time.monotonic()))
"""
_READY = re.compile(r"JOBMON_CONFIG=(\S+) jobmon console --context (\S+)")
_JOB = re.compile(r"\d{7}_\d+")
REGULAR = 120.0  # s between a job's beats, as rare as a site may have them: each is a change, and RATE is all of them
_COUNT = re.compile(r"([\d,]+) jobs? ")
_SKIPPED = re.compile(r"[\d.]+[BKMGTP] skipped")
_NAMES = re.compile(r"\d{7}(?:_\d+)?|job-\d+|wn\d+")


def list_rows(jobs: int, rate: int) -> Iterator[Row]:
    """The list of jobs."""
    with fleet(jobs, rate) as (config, context), console(config, context) as terminal:
        first = terminal.wait_for(_has_jobs) - terminal.started
        whole = terminal.wait_for(lambda screen: _count(screen) >= jobs) - terminal.started
        begun = terminal.cpu()
        terminal.read(SETTLED)
        took = keys(terminal, KEYS)
        terminal.read(SETTLED)
        busy, held = terminal.share(WINDOW), terminal.resident()
        typed = letters(terminal)
    stock_first, stock_took, stock_busy, stock_held, stock_typed = _stock_table(jobs, rate)
    yield Row(f"console: first rows of {jobs:,}", [first], "s", at_most(1.0), [stock_first])
    yield Row(f"console: all {jobs:,}", [whole], "s", at_most(5.0), note=f"{begun:.1f} s of CPU until then")
    yield from _key_rows("console: key to paint", took, stock_took)
    yield Row(f"console: nobody types, {rate:,} changes a second", [busy], "% of core", at_most(15), [stock_busy])
    yield Row("console: memory", [held], "MiB", at_most(250), [stock_held])
    yield Row("console: a letter of a filter", _walls(typed), "ms", at_most(60), [stock_typed], note=_alone(typed))


def output_rows(lines: int) -> Iterator[Row]:
    """The output of a job that prints without end."""
    with flood(lines) as (config, context), console(config, context) as terminal:
        terminal.wait_for(lambda screen: "following" in str(screen.rows()))
        terminal.type("z")  # the output alone
        terminal.read(SETTLED)
        took = follows(terminal, KEYS // 2)
        busy, held = terminal.share(WINDOW), terminal.resident()
        said = _skips(terminal)
    with Terminal([*STOCK, "log", str(lines)]) as terminal:
        terminal.wait_for(lambda screen: "following" in screen.row(0))
        stock_took = follows(terminal, STOCK_KEYS)
        stock_busy, stock_held = terminal.share(WINDOW), terminal.resident()
    yield from _key_rows(f"output, {lines:,} lines a second: key", took, stock_took)
    yield Row("output, the same: nobody types", [busy], "% of core", None, [stock_busy], note=said)
    yield Row("output, the same: memory", [held], "MiB", None, [stock_held])


def _key_rows(name: str, took: list[Answer], stock: list[Answer]) -> Iterator[Row]:
    """Median and 95th percentile of a key."""
    walls, limits = _walls(took), _walls(stock)
    yield Row(f"{name}, p50", walls, "ms", at_most(20), limits, note=_alone(took))
    yield Row(f"{name}, p95", [quantile(walls, 0.95)], "ms", at_most(50), [quantile(limits, 0.95)])


def _walls(took: list[Answer]) -> list[float]:
    return [each.wall for each in took]


def _alone(took: list[Answer]) -> str:
    """What a busy machine has not to do with."""
    alone, cpu = [each.alone for each in took], [each.cpu for each in took]
    return (
        f"not waiting for a processor {quantile(alone, 0.5):.1f}, p95 {quantile(alone, 0.95):.1f}; "
        f"CPU {quantile(cpu, 0.5):.1f}"
    )


def keys(terminal: Terminal, presses: int) -> list[Answer]:
    """From a key that moves the cursor to a screen on which it stands elsewhere."""
    took = []
    for _ in range(presses):
        terminal.read(PAUSE)
        old = _cursor(terminal.screen)
        took.append(terminal.answer("j", lambda screen, old=old: _cursor(screen) not in (None, old)))
    return took


def follows(terminal: Terminal, presses: int) -> list[Answer]:
    """From the key that stops following, or goes on, to the screen that says so."""
    took = []
    for press in range(presses):
        terminal.read(PAUSE)
        wanted = "following" if press % 2 else "f follows"
        took.append(terminal.answer("f", lambda screen, wanted=wanted: any(wanted in row for row in screen.rows())))
    return took


def letters(terminal: Terminal) -> list[Answer]:
    """From a letter of a filter to the list that it leaves, where the letters so far are a filter."""
    took = []
    for text in FILTERS:
        terminal.type("/")
        terminal.read(4 * PAUSE)
        for end in range(1, len(text) + 1):
            typed = text[:end]
            if not _is_filter(typed):
                terminal.type(text[end - 1])
                terminal.read(4 * PAUSE)
                continue
            took.append(
                terminal.answer(text[end - 1], lambda screen, typed=typed: _filtered_by(screen) == typed.strip())
            )
            terminal.read(4 * PAUSE)
        while _filtered_by(terminal.screen):  # the first leaves the field
            terminal.type("\x1b")
            terminal.read(8 * PAUSE)
    return took


def _stock_table(jobs: int, rate: int) -> tuple[float, list[Answer], float, float, float]:
    """The same by Textual's own table: start, keys, share of a core, memory, a filter."""
    with Terminal([*STOCK, "table", str(jobs), str(rate)]) as terminal:
        first = terminal.wait_for(lambda screen: _cursor(screen) is not None, STOCK_START) - terminal.started
        took = keys(terminal, STOCK_KEYS)
        busy, held = terminal.share(WINDOW), terminal.resident()
        typed = terminal.answer("/", lambda screen: f"{jobs // 2:,} rows" in screen.row(0)).wall
    return first, took, busy, held, typed


def console(config: str, context: str) -> Terminal:
    """The console, as a person starts it."""
    command = [str(Path(sys.executable).with_name("jobmon")), "console", "--context", context, "--theme", "dark"]
    return Terminal(command, JOBMON_CONFIG=config, JOBMON_HOLDER="off")


@contextmanager
def fleet(jobs: int, rate: int) -> Iterator[tuple[str, str]]:
    """A server with its jobs; configuration, and the context of one who sees all of them."""
    more = max(0.0, rate - jobs / REGULAR)
    options = ["--jobs", str(jobs), "--seeded", "1", "--rate", str(more), "--real", "0", "--serve"]
    options += ["--interval", str(REGULAR)]
    with tempfile.TemporaryFile("w+") as said:
        command = [sys.executable, str(Path(__file__).with_name("fleet.py")), *options]
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        try:
            while not (found := _READY.search(_text(said))):
                if process.poll() is not None:
                    raise SystemExit(f"the fleet did not come up: {_text(said)[-600:]}")
                time.sleep(PAUSE)
            yield found[1], found[2]
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


@contextmanager
def flood(lines: int) -> Iterator[tuple[str, str]]:
    """A server with one job that prints so many lines a second; configuration, and the context of its owner."""
    with Throwaway((OWNER,), log="warning") as house:
        house.start()
        real = RealJobs(house.site, house.directory)
        try:
            real.pack()
            credential = house.site.issue_job_credentials(OWNER, ["flood"], None, time.time(), "benchmark")[0]
            path = house.directory / "flood.jobmon"
            write_credential(path, credential)
            real.run("flood", path, [sys.executable, "-c", FLOOD.format(rate=lines)])
            yield str(house.config), OWNER
        finally:
            real.stop()


def _text(file: object) -> str:
    file.seek(0)  # type: ignore[attr-defined]
    return str(file.read())  # type: ignore[attr-defined]


def _cursor(screen: Screen) -> tuple[int, list[str]] | None:
    """Where the cursor's row is, and which one it is: a list that scrolls leaves it in its place."""
    number = screen.lit(BEHIND)
    return None if number is None else (number, _NAMES.findall(screen.row(number)))


def _has_jobs(screen: Screen) -> bool:
    return any(_JOB.search(row) for row in screen.rows())


def _count(screen: Screen) -> int:
    """Jobs as the first line of the screen counts them."""
    found = _COUNT.search(screen.row(0))
    return int(found[1].replace(",", "")) if found else 0


def _filtered_by(screen: Screen) -> str:
    """The filter that the list names as its own."""
    title = next((row for row in screen.rows() if " Jobs " in row and " by " in row), "")
    return re.split(r" {2,}", title.partition(" of ")[2] + "  ")[1].strip() if " of " in title else ""


def _skips(terminal: Terminal) -> str:
    """What the screen has said of bytes that were passed over."""
    found = _SKIPPED.search("\n".join(terminal.screen.rows()))
    return f"the screen says: {found[0]}" if found else "nothing was skipped"


def _is_filter(text: str) -> bool:
    """Whether the list follows, and waits for no name of a field to be whole."""
    word = text.rpartition(" ")[2]
    if word and any(name.startswith(word) for name in FIELDS):
        return False
    with suppress(SelectorError):
        parse_selector(text)
        return True
    return False


def rows(
    jobs: int = JOBS, rate: int = RATE, lines: int = LINES, only: tuple[str, ...] = ("list", "output")
) -> Iterator[Row]:
    """Every row."""
    if "list" in only:
        yield from list_rows(jobs, rate)
    if "output" in only:
        yield from output_rows(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--rate", type=int, default=RATE, help="changes a second (%(default)s)")
    parser.add_argument("--lines", type=int, default=LINES, help="lines a second of output (%(default)s)")
    parser.add_argument("--only", nargs="+", choices=("list", "output"), default=["list", "output"])
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that nothing is left behind
    show(rows(arguments.jobs, arguments.rate, arguments.lines, tuple(arguments.only)))


if __name__ == "__main__":
    main()

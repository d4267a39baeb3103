"""The console in a terminal: it shows the jobs, and a kill by keys ends one."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.sites import ANSWER, JOBMON, Site, is_running, wait_until
from tests.end_to_end.terminals import MISSING, Terminal

PRINTS = "import time\nwhile True: print('a line of output', flush=True); time.sleep(0.2)"
pytestmark = pytest.mark.skipif(MISSING, reason="tmux, which plays the terminal, is not installed")


@pytest.fixture
def open_console(site: Site, tmp_path: Path) -> Iterator[Callable[[], Terminal]]:
    terminals = []
    config = tmp_path / "config.toml"  # one's own: how a console was left is kept beside it
    config.touch(0o600)
    config.write_bytes(site.config.read_bytes())

    def start() -> Terminal:
        settings = {"JOBMON_CONFIG": str(config)}
        terminals.append(Terminal(tmp_path / "tmux", [*JOBMON, "console"], settings))
        return terminals[-1]

    yield start
    for terminal in terminals:
        terminal.close()


def _choose(terminal: Terminal, job: str) -> None:
    """Filter the list down to one job and see what it prints."""
    terminal.wait_for("live", "running")
    terminal.type("/")
    terminal.type("-l", f"id={job}")
    terminal.type("Enter")
    terminal.wait_for("Jobs 1 of", "a line of output")


def test_a_job_is_seen_and_killed_by_keys(site: Site, open_console: Callable[[], Terminal]) -> None:
    job, bystander = site.start_job(PRINTS), site.start_job(PRINTS)
    terminal = open_console()
    _choose(terminal, job.id)

    terminal.type("x")
    terminal.wait_for(f" {job.id} ", "Cancel")
    terminal.type("Right")
    terminal.type("Enter")

    assert job.process.wait(ANSWER) == -15
    terminal.wait_for("ended TERM", "Close")
    assert is_running(bystander.process.pid)
    terminal.type("Enter")
    terminal.type("C-q")
    wait_until(lambda: not terminal.is_open())


def test_the_first_line_of_a_long_file_and_a_text_far_in_it_are_seen(
    site: Site, open_console: Callable[[], Terminal]
) -> None:
    long = "for n in range(400_000): print('needle' if n == 60_000 else 'a line of output %d' % n)\n"
    job = site.start_job(long + PRINTS)
    terminal = open_console()
    _choose(terminal, job.id)
    terminal.type("Enter")
    terminal.wait_for("before: Home")

    terminal.type("Home")

    terminal.wait_for("at 0% of", "a line of output 11", "behind: PgDn")
    terminal.type("/")
    terminal.type("-l", "needle")
    terminal.type("Enter")
    terminal.wait_for("match 1 of 1 here: needle", "a line of output 60001")
    terminal.type("End")
    terminal.wait_for("following")


def test_a_share_of_a_long_file_and_a_byte_of_it_are_jumped_to(
    site: Site, open_console: Callable[[], Terminal]
) -> None:
    job = site.start_job("for n in range(400_000): print('event %025d' % n)\n" + PRINTS)
    terminal = open_console()
    _choose(terminal, job.id)
    terminal.type("Enter")
    terminal.wait_for("before: Home")

    for place, line in (("3.2M", 104_857), ("100000", 3125), ("0%", 0)):
        terminal.type("C-g")
        terminal.wait_for("jump to 45%")
        terminal.type("-l", place)
        terminal.type("Enter")
        terminal.wait_for(f"event {line:025d}", "End follows")
    terminal.type("C-g")
    terminal.type("-l", "--", "-2h")
    terminal.type("Enter")
    terminal.wait_for("the lines of a part have no times")
    terminal.type("Escape")
    terminal.type("End")
    terminal.wait_for("following")


def test_an_enter_too_many_kills_nothing(site: Site, open_console: Callable[[], Terminal]) -> None:
    job = site.start_job(PRINTS)
    terminal = open_console()
    _choose(terminal, job.id)
    terminal.type("x")
    terminal.wait_for(f" {job.id} ", "Cancel")

    terminal.type("Enter")

    wait_until(lambda: "Cancel" not in terminal.screen())
    assert is_running(job.process.pid)
    assert site.rows("id=" + job.id)[0]["state"] == "running"


def test_a_console_whose_terminal_is_closed_ends(open_console: Callable[[], Terminal]) -> None:
    terminal = open_console()
    terminal.wait_for("live", "running")
    process = terminal.process()

    terminal.close()

    wait_until(lambda: not is_running(process))


def test_a_console_comes_back_as_it_was_left(site: Site, open_console: Callable[[], Terminal]) -> None:
    job = site.start_job(PRINTS)
    terminal = open_console()
    _choose(terminal, job.id)
    terminal.type("C-q")
    wait_until(lambda: not terminal.is_open())

    again = open_console()

    again.wait_for("Jobs 1 of", f"id={job.id}", "a line of output")

"""A demo leaves no process and no file behind, however it ends."""

import json
import signal
from pathlib import Path

import pytest

from tests.end_to_end.sites import ANSWER, JOBMON, is_running, start_demo, wait_until
from tests.end_to_end.terminals import MISSING, Terminal


def _kept(directory: Path) -> dict[int, str]:
    """Every process that has the demo's directory in its command line, environment or working directory."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                told += bytes((entry / "cwd").readlink())
            except OSError:
                continue
            if bytes(directory) in told:
                found[int(entry.name)] = told[:60].decode(errors="replace")
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_demo_that_is_stopped_leaves_no_process_and_no_file(tmp_path: Path, number: signal.Signals) -> None:
    demo = start_demo(5, TMPDIR=str(tmp_path))
    directory = Path(json.loads(demo.line)["config"]).parent
    # The demo waits for its agents, which may be faster than their jobs.
    named = directory / "jobs" / "demo-spawn-1" / "daemon.pid"
    daemon = int(wait_until(lambda: named.exists() and named.read_text().strip()))
    kept = _kept(directory)
    assert daemon in kept
    assert len(kept) > 10

    demo.front.send_signal(number)
    _, stderr = demo.front.communicate(timeout=ANSWER)

    assert (demo.front.returncode, stderr) == (-9 if number == signal.SIGKILL else 0, "")
    wait_until(lambda: not [pid for pid in kept if is_running(pid)])
    wait_until(lambda: not list(tmp_path.iterdir()))
    assert not _kept(directory)


@pytest.mark.skipif(MISSING, reason="tmux, which plays the terminal, is not installed")
@pytest.mark.parametrize("end", ["quit", "closed"])
def test_a_demo_on_a_terminal_shows_the_console_and_leaves_nothing(tmp_path: Path, end: str) -> None:
    (tmp_path / "rest").mkdir()
    (tmp_path / "home").mkdir()
    settings = {"TMPDIR": str(tmp_path / "rest"), "HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": ""}
    terminal = Terminal(tmp_path / "tmux", [*JOBMON, "demo", "--jobs", "2"], settings)
    try:
        terminal.wait_for("demo-print-1", "● running")
        (directory,) = (tmp_path / "rest").iterdir()
        kept = _kept(directory)
        assert kept

        if end == "quit":
            terminal.type("C-q")
            wait_until(lambda: not terminal.is_open())
        else:
            terminal.close()

        wait_until(lambda: not list((tmp_path / "rest").iterdir()))
        wait_until(lambda: not [pid for pid in kept if is_running(pid)])
        assert not list((tmp_path / "home").rglob("console.json")), "how it was left was kept for one's own console"
    finally:
        terminal.close()

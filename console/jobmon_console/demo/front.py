"""The front of the demo: starts the keeper, shows what it made, waits for it.

The front itself starts nothing else and writes no file.  However it ends, the
keeper's stdin ends with it, and the keeper cleans up; a front that can still
wait does so until everything is gone.
"""

import json
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from jobmon_console.demo.processes import WATCH, DemoError

__all__ = ["main"]

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
BY_SIGNAL = 128  # plus the number: the status of a console that a signal asked to stop
INTERRUPTED = 130  # stopped before everything was there
KEEPER_DIED = "the process that keeps the demo died; start the demo again"


class _Stopped(KeyboardInterrupt):
    """Asked to stop.  asyncio lets this family of exceptions through, as it must."""


def main(jobs: int, duration: float | None, headless: bool) -> int:
    """Run a demo and give the exit status.

    Args:
        jobs: how many.
        duration: seconds, above 0, after which it stops by itself.
        headless: print one line of JSON and wait, instead of the console.
    """
    handlers = {number: signal.getsignal(number) for number in STOPS}
    # Held back until the keeper is known here and its handlers stand there.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        for number in STOPS:
            signal.signal(number, _stop)
        return _run(_start_keeper(jobs), jobs, duration, headless, mask)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _run(keeper: "_Keeper", jobs: int, duration: float | None, headless: bool, mask: set[int | signal.Signals]) -> int:
    directory = None
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if not headless:
            _say(f"jobmon: starting a throw-away site on this machine: server, 3 people, jobs: {jobs} …")
        site = _read_site(keeper)
        directory = Path(site["config"]).parent
        if duration is not None:
            signal.setitimer(signal.ITIMER_REAL, duration)
        if headless:
            _say(json.dumps(site))
            _wait(keeper)
            return 0
        return _show(site)
    except DemoError as error:
        sys.stderr.write(f"jobmon: {error}\n")
        return 1
    except _Stopped:
        return INTERRUPTED if directory is None else 0
    finally:
        _ignore_stops()
        signal.setitimer(signal.ITIMER_REAL, 0)
        keeper.communicate()  # closes its stdin, which is its sign to clean up, and waits
        if directory is not None:
            shutil.rmtree(directory, ignore_errors=True)  # a keeper that was killed left it


_Keeper = subprocess.Popen[bytes]


def _start_keeper(jobs: int) -> _Keeper:
    command = (sys.executable, "-P", "-m", "jobmon_console.demo.keeper", str(jobs))
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)


def _read_site(keeper: _Keeper) -> dict[str, Any]:
    assert keeper.stdout is not None
    line = keeper.stdout.readline()
    news: dict[str, Any] = json.loads(line) if line else {"failed": KEEPER_DIED}
    if "failed" in news:
        raise DemoError(news["failed"])
    site: dict[str, Any] = news["ready"]
    return site


def _wait(keeper: _Keeper) -> None:
    assert keeper.stdout is not None
    while not select.select([keeper.stdout], [], [], WATCH)[0]:  # nothing more comes: it waits for its end
        pass  # a signal that came right before the wait is heard now
    raise DemoError(KEEPER_DIED)


def _show(site: dict[str, Any]) -> int:
    """The console, as the first owner."""
    # Late: only the demo with a screen needs Textual.
    from jobmon_console.contexts import Flags, load_contexts
    from jobmon_console.tui.start import run

    # The console takes a TERM as a wish to leave and gives the terminal back; so it shall take the end of the time.
    signal.signal(signal.SIGALRM, lambda number, frame: signal.raise_signal(signal.SIGTERM))
    environ = {"JOBMON_CONFIG": site["config"]}  # how it is left is kept there, too, and goes with the demo
    status = run(load_contexts(Flags(), environ), environ=environ)
    return 0 if status - BY_SIGNAL in STOPS else status


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _stop(number: int, frame: FrameType | None) -> None:
    _ignore_stops()
    raise _Stopped


def _ignore_stops() -> None:
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)

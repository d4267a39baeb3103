"""The keeper: the process that starts the demo's site and leaves nothing of it.

It has a session of its own, so a Ctrl-C at the front's terminal does not reach
it.  It cleans up when its stdin ends, which happens even when the front is
killed, or at a signal.  To the front it writes lines of JSON: ``{"ready": …}``
or ``{"failed": sentence}``.
"""

import json
import os
import shutil
import signal
import sys
import tempfile
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from jobmon_console.demo import jobs
from jobmon_console.demo.processes import DemoError, Processes
from jobmon_console.demo.site import ADMIN, OWNERS, Site

__all__ = ["main"]

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class _Stopped(BaseException):
    """The demo is over."""


def main(count: int) -> int:
    """Keep a demo of ``count`` jobs until the front is gone; give the exit status."""
    directory = Path(tempfile.mkdtemp(prefix="jobmon-demo-"))  # mode 0700
    processes = Processes(_environment(directory))
    try:
        return _keep(count, directory, processes)
    except _Stopped:
        return 0
    finally:
        processes.end()
        shutil.rmtree(directory, ignore_errors=True)


def _keep(count: int, directory: Path, processes: Processes) -> int:
    status = 0
    try:
        _listen()
        site = Site(directory, processes)
        site.start()
        planned = jobs.plan(count)
        jobs.start(site, planned)
        _tell(
            ready={
                "config": str(site.config),
                "contexts": [*OWNERS, ADMIN],
                "server": site.url,
                "jobs": [job.id for job in planned],
            }
        )
        processes.watch()
    except DemoError as error:
        _tell(failed=str(error))
        status = 1
    # From here on nothing may interrupt the cleaning up.
    _ignore_stops()
    return status


def _listen() -> None:
    """From here on a signal, or the end of stdin, raises ``_Stopped``."""
    for number in STOPS:
        signal.signal(number, _stop)
    # The front started this process with its signals held back, so none came before the directory was known.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    threading.Thread(target=_wait_for_the_front, daemon=True).start()


def _stop(number: int, frame: FrameType | None) -> None:
    _ignore_stops()
    raise _Stopped


def _ignore_stops() -> None:
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)


def _wait_for_the_front() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _environment(directory: Path) -> dict[str, str]:
    """The commands' environment: the user's, but no JobMon settings except the demo's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JOBMON_")}
    return kept | {"JOBMON_CONFIG": str(directory / "config.toml")}


def _tell(**news: Any) -> None:
    try:
        sys.stdout.write(json.dumps(news) + "\n")
        sys.stdout.flush()
    except OSError:
        raise _Stopped from None  # the front is gone


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))

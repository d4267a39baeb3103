"""Every benchmark, in one table.

Run after ``make``::

    make bench

What is measured, and how, is told by each of the modules; each may be run alone.
"""

import itertools
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from benchmarks import agent, commands, console, server
from benchmarks.table import show

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that nothing is left behind
    show(itertools.chain(commands.rows(), server.rows(), agent.rows(), console.rows()))

"""Every benchmark, in one table.

Run after ``make``::

    make bench

What is measured, and how, is told by each of the modules; each may be run alone.
"""

import itertools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from benchmarks import agent, commands, server
from benchmarks.table import show

if __name__ == "__main__":
    show(itertools.chain(commands.rows(), server.rows(), agent.rows()))

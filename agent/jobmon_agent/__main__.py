"""``python -m jobmon_agent``: the agent from an installed package, as ``jobmond.pyz`` is from a single file."""

import sys

from jobmon_agent.launch import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""``python -m jobmon_server``: the server's command."""

import sys

from jobmon_server.cli import main

if __name__ == "__main__":
    sys.exit(main())

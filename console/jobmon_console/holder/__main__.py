"""The holder's process: ``python -P -m jobmon_console.holder SOCKET``, started by ``start``."""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import resource
import sys

from jobmon_console import holding
from jobmon_console.cli.commands import COMMANDS
from jobmon_console.cli.parser import build_parser
from jobmon_console.contexts import Context
from jobmon_console.errors import JobMonError
from jobmon_console.holder import worker
from jobmon_console.holder.keeper import Held, Keeper, end_by, end_in_order, identity
from jobmon_console.tls import open_link

_PR_SET_DUMPABLE = 4  # linux/prctl.h


def main() -> int:
    """Hold what the command's process says on standard input; the exit status."""
    os.closerange(3, os.sysconf("SC_OPEN_MAX") if os.sysconf("SC_OPEN_MAX") < 2**16 else 2**16)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    end_by(end_in_order)
    told = json.load(sys.stdin)
    os.dup2(1, 0)  # /dev/null, too
    os.chdir("/")
    context = Context(*told["context"])
    files = {path: identity(path) for path in (context.credential, context.cert, context.key, context.ca) if path}
    files[told["configuration"]] = identity(told["configuration"])
    with contextlib.suppress(JobMonError, OSError):
        held = Held(context, open_link(context, lambda _question: told["passphrase"] or ""), files)
        told.clear()
        _hide()
        _load()
        Keeper(sys.argv[1], held, worker.serve).run()
    return 0


def _hide() -> None:
    """Let no other process of this user look into the memory: the unlocked key is there.

    Not before it is there: it is read through ``/proc/self/fd``, which is then root's.
    """
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _load() -> None:
    """Everything that a command needs, once for all."""
    for name in ("tomllib", "unicodedata", "jobmon_wire.selectors", "jobmon_wire.matching"):
        importlib.import_module(name)
    for name in holding.HELD:
        build_parser(name).parse_known_args([name, "1"] if COMMANDS[name].takes_job else [name])
    gc.freeze()  # what is here stays, and a child's collector need not touch it


if __name__ == "__main__":
    sys.exit(main())

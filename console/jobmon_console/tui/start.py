"""The start of the full-screen console: the servers are asked while what draws is loaded.

To import Textual takes as long as a far server takes to answer, or a near one to
count 100,000 jobs; so nobody waits for both.  Nothing here is imported that draws.
"""

import asyncio
import importlib
import os
import random
import time
from collections.abc import Mapping, Sequence

from jobmon_console.appearance import Appearance
from jobmon_console.contexts import Context
from jobmon_console.preferences import Keeper
from jobmon_console.tui.clients import LazyClient
from jobmon_console.tui.farewell import Farewell
from jobmon_console.tui.feed import Feed

_DRAWS = "jobmon_console.tui.app"


def run(
    contexts: list[Context],
    select: str = "",
    read_only: bool = False,
    look: Appearance = Appearance(),  # noqa: B008 - a value that never changes
    typed: Sequence[str] = (),
    environ: Mapping[str, str] = os.environ,
) -> int:
    """The console on this terminal, until it is left; its exit status.

    Args:
        contexts: whose jobs are shown, in one table.
        select: the filter to begin with.
        read_only: nothing may act on a job.
        look: how it is drawn.
        typed: words of the command line that chose the contexts; a command that is copied has them too.
        environ: names the configuration file, beside which is kept how the console was left.
    """
    clients = [LazyClient(context) for context in contexts]
    for client in clients:
        client.open()
    keeper = Keeper.of(environ, [context.name for context in contexts])
    farewell = Farewell()
    status = asyncio.run(_run(clients, select, read_only, look, typed, keeper, farewell))
    farewell.over()
    return status


async def _run(
    clients: list[LazyClient],
    select: str,
    read_only: bool,
    look: Appearance,
    typed: Sequence[str],
    keeper: Keeper,
    farewell: Farewell,
) -> int:
    feeds = [Feed(client.name, client, time.monotonic, random.random) for client in clients]
    for feed in feeds:
        feed.start(is_ahead=True)
    app = await asyncio.to_thread(importlib.import_module, _DRAWS)
    console = app.Console(feeds, select, read_only, keeper=keeper, look=look, typed=typed)
    console.farewell = farewell
    await console.run_async(mouse=look.has_mouse)
    return int(console.return_code or 0)

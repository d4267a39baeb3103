"""Make the README's picture from the real program.

    make pictures

Brings up a demo, opens the console on it as its first owner, waits until jobs
are listed, and writes what it shows to ``docs/console.svg``.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path

SIZE = (120, 32)  # columns and rows: the width of a usual terminal beside an editor
PATIENCE = 60.0  # s for the demo to come up and for jobs to be shown
SETTLE = 28.0  # s after which the jobs that fail have failed
CHOSEN = "demo-print-1"  # a job that prints
OUT = Path(__file__).parent / "console.svg"


async def draw(config: str) -> str:
    """The console's screen as SVG."""
    from jobmon_console.contexts import Context
    from jobmon_console.tui.app import Console
    from jobmon_console.tui.clients import LazyClient

    credential = str(Path(config).parent / "people" / "alice.jobmon")
    client = LazyClient(Context(name="caf", credential=credential))
    app = Console([("caf", client)])
    async with app.run_test(size=SIZE) as pilot:
        async with asyncio.timeout(PATIENCE):
            while not app.site.board.entries:
                await pilot.pause(0.05)
        await asyncio.sleep(SETTLE)
        for _ in app.site.board.lines:
            if app.jobs.target is not None and app.jobs.target.row["id"] == CHOSEN:
                break
            await pilot.press("down")
        await pilot.pause(1.0)
        return app.export_screenshot(title="jobmon console")


def main() -> None:
    """Start the demo, draw, end it."""
    command = [str(Path(sys.executable).with_name("jobmon")), "demo", "--headless", "--jobs", "16"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        try:
            site = json.loads(demo.stdout.readline())
            os.environ["JOBMON_CONFIG"] = site["config"]
            svg = asyncio.run(draw(site["config"]))
        finally:
            demo.terminate()
    # Textual names a font on a public server: a picture in a README should fetch nothing.
    svg = re.sub(r"@font-face\s*{.*?}", "", svg, flags=re.DOTALL)
    svg = svg.replace("<svg ", '<svg xml:space="preserve" ', 1)  # else some viewers drop leading blanks
    OUT.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n")


if __name__ == "__main__":
    main()

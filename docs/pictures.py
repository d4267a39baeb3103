"""Make the pictures of the documentation from the real program.

    make pictures

Brings up a demo, opens the console on it as its first owner, does what a
person would do, and writes what the console then shows to ``docs/pictures``.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

SIZE = (120, 32)  # columns and rows: the width of a usual terminal beside an editor
PATIENCE = 60.0  # s for the demo to come up, and for anything to be shown
SETTLE = 45.0  # s after which the jobs that fail have failed, and there is something to see of what the others use
JOBS = 16
OUT = Path(__file__).with_name("pictures")


class Scene(NamedTuple):
    """What is done and waited for before a picture is taken; Escape leads back."""

    name: str
    job: str  # under the cursor
    keys: tuple[str, ...]
    awaited: str  # a word that then stands on the screen
    back: int  # presses of Escape


SCENES = (
    Scene("jobs", "demo-print-1", ("1",), "event", 0),
    Scene("output", "demo-print-1", ("1", "enter", "z", "T", "slash", *"3 event", "enter"), "event", 3),
    Scene("top", "demo-compute-1", ("2", "enter", "z"), "python", 2),
    Scene("files", "demo-write-1", ("4", "enter", "z", "down"), "calibration", 2),
    Scene("kill", "demo-print-1", ("A", "x"), "Cancel", 1),
)


async def draw(config: str) -> dict[str, str]:
    """The scenes as SVG."""
    from jobmon_console.contexts import Context
    from jobmon_console.tui.app import Console
    from jobmon_console.tui.clients import LazyClient

    credential = str(Path(config).parent / "people" / "alice.jobmon")
    client = LazyClient(Context(name="caf", credential=credential))
    app = Console([("caf", client)])
    drawn = {}
    async with app.run_test(size=SIZE) as pilot:
        await _until(pilot, lambda: app.site.board.entries)
        await asyncio.sleep(SETTLE)
        for scene in SCENES:
            await _choose(pilot, scene.job)
            await pilot.press(*scene.keys)
            await _until(pilot, lambda scene=scene: scene.awaited in app.export_screenshot())
            await pilot.pause(3.0)
            drawn[scene.name] = app.export_screenshot(title="jobmon console")
            await pilot.press(*["escape"] * scene.back)
    return drawn


async def _choose(pilot: Any, job: str) -> None:
    app = pilot.app
    await pilot.press("home")
    for _ in app.site.board.lines:
        if app.jobs.target is not None and app.jobs.target.row["id"] == job:
            return
        await pilot.press("down")
    raise SystemExit(f"the demo has no job {job}")


async def _until(pilot: Any, claim: Callable[[], object]) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            while not claim():
                await pilot.pause(0.05)
    except TimeoutError:
        shown = re.sub(r"<style>.*?</style>|<[^>]*>|&#160;", " ", pilot.app.export_screenshot(), flags=re.DOTALL)
        raise SystemExit(f"it never came; this is shown: {' '.join(shown.split())}") from None


def main() -> None:
    """Start the demo, draw, end it."""
    command = [str(Path(sys.executable).with_name("jobmon")), "demo", "--headless", "--jobs", str(JOBS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        try:
            site = json.loads(demo.stdout.readline())
            os.environ["JOBMON_CONFIG"] = site["config"]
            drawn = asyncio.run(draw(site["config"]))
        finally:
            demo.terminate()
    OUT.mkdir(exist_ok=True)
    for name, svg in drawn.items():
        # Textual names a font on a public server: a picture in a README should fetch nothing.
        svg = re.sub(r"@font-face\s*{.*?}", "", svg, flags=re.DOTALL)
        svg = svg.replace("<svg ", '<svg xml:space="preserve" ', 1)  # else some viewers drop leading blanks
        (OUT / f"{name}.svg").write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n")


if __name__ == "__main__":
    main()

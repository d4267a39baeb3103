"""A terminal for tests, played by tmux."""

import os
import shutil
import subprocess
import time
from pathlib import Path

MISSING = shutil.which("tmux") is None
PATIENCE = 60.0  # s; a whole demo on a busy machine


class Terminal:
    """A terminal of 120 by 36 that a test types into and reads."""

    def __init__(self, socket: Path, command: list[str], environment: dict[str, str]) -> None:
        self._tmux = ("tmux", "-S", str(socket), "-f", "/dev/null")
        settings = [word for name, value in environment.items() for word in ("-e", f"{name}={value}")]
        # These two, which some libraries set, would overrule the terminal's own size.
        kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        start = ("new-session", "-d", "-x", "120", "-y", "36", *settings, *command)
        subprocess.run((*self._tmux, *start), env=kept | {"LANG": "C.UTF-8"}, check=True, timeout=PATIENCE)

    def type(self, *keys: str) -> None:
        """Press keys, by tmux's names for them."""
        subprocess.run((*self._tmux, "send-keys", *keys), check=True, timeout=PATIENCE)

    def screen(self) -> str:
        """What stands on the screen now."""
        return self._ask("capture-pane", "-p")

    def wait_for(self, *words: str) -> None:
        """Wait until all of the words stand on the screen."""
        deadline = time.monotonic() + PATIENCE
        while not all(word in (screen := self.screen()) for word in words):
            assert time.monotonic() < deadline, f"no {words} within {PATIENCE:g} s on this screen:\n{screen}"
            time.sleep(0.05)

    def is_open(self) -> bool:
        """Whether the command still runs."""
        return subprocess.run((*self._tmux, "has-session"), capture_output=True, timeout=PATIENCE).returncode == 0

    def process(self) -> int:
        """The command's process."""
        return int(self._ask("display", "-p", "#{pane_pid}"))

    def close(self) -> None:
        """End the terminal and what runs in it."""
        subprocess.run((*self._tmux, "kill-server"), capture_output=True, timeout=PATIENCE)

    def _ask(self, *words: str) -> str:
        return subprocess.run((*self._tmux, *words), capture_output=True, text=True, timeout=PATIENCE).stdout

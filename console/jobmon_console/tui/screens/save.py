"""The dialog that writes a job's file to one here: where to, and how far it is."""

import os
from collections.abc import AsyncIterator
from typing import Any

from textual.app import ComposeResult
from textual.containers import Vertical

from jobmon_console import calls
from jobmon_console.errors import JobMonError
from jobmon_console.replies import Kept
from jobmon_console.safe import safe
from jobmon_console.saving import SavedFile, name_for
from jobmon_console.tui import texts
from jobmon_console.tui.panes.pane import Target
from jobmon_console.tui.screens.dialog import Dialog
from jobmon_console.tui.source import Reading, once
from jobmon_console.tui.widgets.bar import Bar
from jobmon_console.tui.widgets.filter import FilterInput
from jobmon_console.tui.widgets.lines import Lines, Span
from jobmon_wire.frames import DATA

TICK = 0.05  # s between looks at what came; 2 MiB may wait, so 40 MB/s
METER = 40  # cells
LONGEST = 1024  # characters of a path


class Status(Lines):
    """A sentence, as high as it is long, or how far it is."""

    IS_SELECTABLE = True

    def __init__(self) -> None:
        super().__init__("save-status")
        self.can_focus = False
        self._sentence, self._style = "", "dim"
        self._rows: list[list[Span]] = []

    def count(self) -> int:
        """Lines."""
        return len(self._rows)

    def spans(self, index: int) -> list[Span]:
        """One line."""
        return self._rows[index]

    def on_resize(self) -> None:
        """A sentence is wrapped at another width."""
        if self._sentence:
            self.say(self._sentence, self._style)

    def say(self, text: str, style: str) -> None:
        """Show a text, all of it."""
        self._sentence, self._style = text, style
        self._show([[(f" {line}", style)] for line in texts.wrap(text, max(texts.LEAST, self.size.width - 2))])

    def show(self, spans: list[Span]) -> None:
        """Show one line."""
        self._sentence = ""
        self._show([spans])

    def _show(self, rows: list[list[Span]]) -> None:
        if len(rows) != len(self._rows):
            self.styles.height = len(rows)
        self._rows = rows
        self.resize_rows()
        self.refresh()


class Save(Dialog[str]):
    """Save one file of a job; dismissed with what became of it, or None.

    Args:
        target: whose file.
        file: its path in the sandbox, or a stream.
        size: bytes it had when it was last seen, if that is known.
    """

    def __init__(self, target: Target, file: str, size: int | None) -> None:
        super().__init__()
        self._target = target
        self._file = file
        self._whole = size
        self._title, self._status = Bar("save-title"), Status()
        self._path = FilterInput("save-path")
        self._path.max_length = LONGEST
        self._saved: SavedFile | None = None
        self._reading: Reading[Any] | None = None

    def compose(self) -> ComposeResult:
        """What, where to, how far."""
        with Vertical(id="save"):
            yield self._title
            yield self._path
            yield self._status

    def on_mount(self) -> None:
        """A name to begin with."""
        job = str(self._target.row.get("id") or self._target.uuid)
        size = f", {texts.size(self._whole)}" if self._whole is not None else ""
        self._title.show([(f" Save {safe(self._file)} of {safe(job)}{size}", "bar-strong")], [("Esc cancels ", "bar")])
        self._path.value = os.path.join(os.curdir, name_for(job, self._file))
        self._path.focus()
        self._say("Enter saves; only you will be able to read it", "dim")
        self.set_interval(TICK, self._tick)

    def on_unmount(self) -> None:
        """Whatever closed this: nothing half stays."""
        self._stop()

    def on_input_changed(self) -> None:
        """A message about another name would mislead."""
        if self._reading is None:
            self._say("Enter saves; only you will be able to read it", "dim")

    def on_input_submitted(self) -> None:
        """Begin."""
        if self._reading is not None or not self._path.value.strip():
            return
        try:
            self._saved = SavedFile(self._path.value.strip())
            self._reading = self._ask()
        except JobMonError as error:
            self._stop()
            self._say(str(error), "warn")

    def _ask(self) -> Reading[Any]:
        source, uuid = self._target.source, self._target.uuid
        if self._target.is_alive:
            call = calls.query(uuid, "cat", {"file": self._file})
            return Reading(lambda: _data(source.frames(call)))
        kept = calls.output(uuid, self._file)
        return once(lambda: source.content(kept))

    def _tick(self) -> None:
        if self._reading is None or self._saved is None:
            return
        is_over, items = self._reading.is_over, self._reading.take()
        try:
            for item in items:
                self._saved.write(item.data if isinstance(item, Kept) else item)
            if not is_over:
                self._progress(self._saved.size)
                return
            if self._reading.error is not None:
                raise self._reading.error
            self._saved.finish()
        except JobMonError as error:
            self._stop()
            self._say(str(error), "bad")
            return
        text = f"saved {texts.size(self._saved.size)} to {self._saved.path}"
        self._saved = self._reading = None
        self.dismiss(text)

    def _stop(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        if self._saved is not None:
            self._saved.abort()
        self._saved = self._reading = None

    def _progress(self, done: int) -> None:
        if not self._whole:
            self._say(f"{texts.size(done)} so far", "info")
            return
        full = min(METER, round(METER * done / self._whole))
        meter = "█" * full + "░" * (METER - full)
        self._status.show([(f" {meter} ", "good"), (f"{texts.size(done)} of {texts.size(self._whole)}", "plain")])

    def _say(self, text: str, style: str) -> None:
        self._status.say(safe(text), style)


async def _data(frames: AsyncIterator[Any]) -> AsyncIterator[bytes]:
    async for frame in frames:
        if frame.type == DATA:
            yield frame.payload

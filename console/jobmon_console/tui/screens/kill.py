"""The dialog before a signal is sent: every target by name, Cancel first.

The targets are those of the moment the key was pressed.  More than a handful,
another owner's job, or one that its owner has tagged ``protected``, ask for the
number of targets to be typed.
"""

import string
from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache
from itertools import accumulate

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.events import Key
from textual.widgets import Button, Input

from jobmon_console.safe import safe
from jobmon_console.tui import texts
from jobmon_console.tui.panes.pane import Target
from jobmon_console.tui.screens.dialog import Dialog
from jobmon_console.tui.shots import SIGNALS, Shot, effect
from jobmon_console.tui.states import job_look
from jobmon_console.tui.widgets.bar import Bar
from jobmon_console.tui.widgets.lines import Lines, Span

PROTECTED = "protected"  # the name of a tag, whatever its value: this job is not to be killed by habit
FEW = 5  # targets that need no number typed
SEEN = 12  # targets on the screen at once
FRAME = 10  # rows of the dialog around the targets, and of the screen around the dialog
ARROW = "    → "  # before an outcome
OUTCOMES = 1024  # remembered as they are wrapped; of thousands most are the same


class Targets(Lines):
    """The frozen targets, in full, each with its outcome once there is one."""

    def __init__(self, targets: list[Target]) -> None:
        super().__init__("targets")
        self._targets = targets
        self._room = 2 * SEEN  # rows that the screen has for them
        self._starts: list[int] = []  # the first row of each, and the number of all
        self.shots: list[Shot] = []
        self._arrange()

    def count(self) -> int:
        """Who, and what: two rows each, or more where an outcome is longer than the dialog is wide."""
        return self._starts[-1]

    def breadth(self) -> int:
        """A command line may be longer than the dialog; an outcome is wrapped."""
        if self.shots:
            return 0
        return max((4 + cell_len(self._command(target)) for target in self._targets), default=0)

    def spans(self, index: int) -> list[Span]:
        """A target."""
        at = bisect_right(self._starts, index) - 1
        row, line = self._targets[at].row, index - self._starts[at] - 1
        if line >= 0:
            if at < len(self.shots):
                lines = self._outcome(at)  # it may be another since the rows were arranged
                before = ARROW if line == 0 else " " * len(ARROW)
                return [(before + lines[line], self.shots[at].outcome.style)] if line < len(lines) else []
            return [("    " + self._command(self._targets[at]), "dim")]
        look = job_look(row)
        return [
            (" " + safe(str(row.get("id") or "")), "strong"),
            (f"  {look.glyph} {look.word}", look.style),
            (f"  {safe(str(row.get('node') or '-'))}", "plain"),
            (f"  of {safe(str(row.get('owner') or '-'))}", "dim"),
            (f"  {texts.NOTHING if not row.get('uuid') else safe(str(row['uuid']))}", "dim"),
        ]

    def _command(self, target: Target) -> str:
        if target.process is None:
            return safe(str(target.row.get("command") or target.row.get("name") or ""))
        pid, user = (safe(str(target.process.get(field) or texts.NOTHING)) for field in ("pid", "user"))
        beside = ", the job's own process" if target.process.get("is_job") is True else ""
        command = safe(str(target.process.get("command") or target.process.get("name") or ""))
        return f"process {pid} of {user}{beside}: {command}"

    def _outcome(self, at: int) -> tuple[str, ...]:
        return _wrapped(self.shots[at].outcome.text, max(texts.LEAST, self.size.width - len(ARROW) - 1))

    def _arrange(self) -> None:
        rows = (1 + len(self._outcome(at)) if self.shots else 2 for at in range(len(self._targets)))
        self._starts = list(accumulate(rows, initial=0))

    def sent(self, shots: list[Shot]) -> None:
        """From now on the outcomes are shown, from where they begin."""
        self.shots = shots
        self.scroll_to(x=0, animate=False)
        self.follow()

    def follow(self) -> None:
        """Outcomes may be others, and longer."""
        before = self.count()
        self._arrange()
        if self.count() != before:
            self.fit(self._room)
        self.resize_rows()
        self.refresh()

    def on_mount(self) -> None:
        """All of it can be scrolled to."""
        self.resize_rows()

    def fit(self, rows: int) -> None:
        """As high as its rows, up to a limit and to what the screen has left for them."""
        self._room = rows
        # Without a row of its own the scroll bar would stand on a target's outcome.
        has_bar = 0 < self.size.width < self.breadth()
        self.styles.height = max(2, min(self.count(), 2 * SEEN, rows - has_bar)) + has_bar

    def on_resize(self) -> None:
        """There is a scroll bar now, or none any more; outcomes are wrapped at another width."""
        self._arrange()
        self.fit(self._room)
        self.resize_rows()


@lru_cache(maxsize=OUTCOMES)
def _wrapped(text: str, width: int) -> tuple[str, ...]:
    return tuple(texts.wrap(text, width))


class Signals(Bar):
    """The signals, one of them chosen; left and right choose another."""

    can_focus = True

    def __init__(self) -> None:
        super().__init__("signals")
        self.chosen = 0
        self._draw()

    @property
    def signal(self) -> str:
        """The chosen one's name."""
        return SIGNALS[self.chosen]

    def step(self, by: int) -> None:
        """Choose another."""
        self.chosen = (self.chosen + by) % len(SIGNALS)
        self._draw()

    def watch_has_focus(self, has_focus: bool) -> None:
        """Show whether the arrows go here."""
        super().watch_has_focus(has_focus)
        self._draw()

    def _draw(self) -> None:
        spans: list[Span] = [(" Signal ", "accent" if self.has_focus else "dim")]
        for at, name in enumerate(SIGNALS):
            spans.append((f" {name} ", "tab-active" if at == self.chosen else "dim"))
        self.show(spans, [("←→ chooses ", "accent")] if self.has_focus else [])


class Kill(Dialog[None]):
    """Send a signal to jobs, or to one process of one.

    Args:
        targets: frozen when the key was pressed.
        is_foreign: some belong to other owners.
        send: makes the shots and looks after them beyond this dialog.
    """

    def __init__(
        self, targets: list[Target], is_foreign: bool, send: Callable[[list[Target], str], list[Shot]]
    ) -> None:
        super().__init__()
        self._targets = Targets(targets)
        self._frozen = targets
        self._is_foreign = is_foreign
        self._send = send
        self._signals = Signals()
        self._effect = Bar("effect")
        self._title = Bar("kill-title")
        self._cancel = Button(Text("Cancel"), id="cancel", compact=True)
        self._confirm = Button(Text("Send"), id="send", compact=True)
        self._number = Input("", "number", id="number", compact=True, max_length=6, restrict="[0-9]*")

    @property
    def must_count(self) -> bool:
        """The number of targets has to be typed."""
        return len(self._frozen) > FEW or self._is_foreign or self._is_protected

    @property
    def _is_protected(self) -> bool:
        tags = (target.row.get("tags") for target in self._frozen)
        return any(isinstance(each, dict) and PROTECTED in each for each in tags)

    @property
    def _is_of_process(self) -> bool:
        return any(target.process is not None for target in self._frozen)

    @property
    def _whom(self) -> str:
        processes = [target.process for target in self._frozen if target.process is not None]
        if processes:
            return f"process {safe(str(processes[0].get('pid')))} alone"
        return texts.plural(len(self._frozen), "job")

    @property
    def obstacle(self) -> str:
        """Why nothing can be sent now; empty: something can."""
        if not all(target.feed.link.is_usable for target in self._frozen):
            return "Not connected to every target: nothing can be sent"
        is_understood = all(target.feed.release.is_understood for target in self._frozen)
        return "" if is_understood else "Server of another protocol: nothing can be sent"

    def compose(self) -> ComposeResult:
        """What, to whom, and two buttons."""
        ask, count = Bar("how-many"), len(self._frozen)
        why = self._of_note("another owner's job", "other owners' jobs") if self._is_foreign else ""
        why += self._of_note("a protected job", "protected jobs") if self._is_protected and not why else ""
        ask.show([(f" {why}type {count} to confirm ", "warn")])
        with Vertical(id="kill"):
            yield self._title
            yield self._targets
            yield self._signals
            yield self._effect
            if self.must_count:
                with Horizontal(id="count"):
                    yield ask
                    yield self._number
            with Horizontal(id="buttons"):
                yield self._cancel
                yield self._confirm

    def on_mount(self) -> None:
        """Cancel has the focus."""
        self._cancel.focus()
        self._draw()
        self.set_interval(0.25, self._tick)

    def on_resize(self) -> None:
        """The buttons must be seen, whatever the size."""
        self._targets.fit(self.app.size.height - FRAME - self.must_count)

    def action_do(self, id_: str) -> None:
        """Left and right choose a signal, or a button."""
        if id_ in ("left", "right") and self.focused is self._signals:
            self._signals.step(1 if id_ == "right" else -1)
            self._draw()
        else:
            super().action_do(id_)

    def move(self, how: str) -> None:
        """Arrows between the controls; pages scroll the targets."""
        if how in ("left", "up"):
            self.focus_previous()
        elif how in ("right", "down"):
            self.focus_next()
        else:
            self._targets.move(how)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Send, or leave."""
        event.stop()
        if event.button is self._cancel:
            self.dismiss(None)
        elif self._may_send():
            self._targets.sent(self._send(self._frozen, self._signals.signal))
            self._confirm.display = False
            self._signals.display = False
            self.query("#count").set(display=False)
            self._cancel.label = Text("Close")
            self._cancel.focus()
            self._draw()

    def on_input_changed(self) -> None:
        """The number may be right now."""
        self._draw()

    def on_input_submitted(self) -> None:
        """Enter in the field goes on to the buttons, it sends nothing."""
        (self._confirm if self._may_send() else self._cancel).focus()

    def on_key(self, event: Key) -> None:
        """A digit is one of the number, wherever the focus is."""
        is_wanted = self.must_count and not self._targets.shots and self.focused is not self._number
        if is_wanted and event.character is not None and event.character in string.digits:
            event.stop()
            self._number.focus()
            self._number.insert_text_at_cursor(event.character)

    def _of_note(self, one: str, several: str) -> str:
        return f"it is {one}: " if len(self._frozen) == 1 else f"{several} are among them: "

    def _may_send(self) -> bool:
        counted = not self.must_count or self._number.value == str(len(self._frozen))
        return counted and not self.obstacle and not self._targets.shots

    def _tick(self) -> None:
        self._targets.follow()
        self._draw()

    def _draw(self) -> None:
        shots = self._targets.shots
        what = f" Send a signal to {self._whom}"
        self._title.show([(what, "bar-strong")], [("Esc closes " if shots else "Esc cancels ", "bar")])
        self._confirm.disabled = not self._may_send()
        self._confirm.label = Text(f"Send {self._signals.signal}")
        if shots:
            done = sum(shot.is_done for shot in shots)
            waits = done < len(shots)
            text = f" {done} of {len(shots)} answered" + ("; this may be closed, they go on" if waits else "")
            self._effect.show([(text, "info" if waits else "good")])
        elif self.obstacle:
            self._effect.show([(f" {self.obstacle}", "warn")])
        else:
            signal = self._signals.signal
            self._effect.show([(f" {signal} {effect(signal, self._is_of_process)}", "dim")])

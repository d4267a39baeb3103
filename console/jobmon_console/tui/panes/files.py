"""The Files tab: a directory of the job's sandbox, and the beginning of the file under the cursor.

The agent decides what lies in the sandbox; a refusal is shown as it comes.
"""

import posixpath
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.geometry import Region

from jobmon_console import calls, hexdump
from jobmon_console.errors import JobMonError
from jobmon_console.following import passes
from jobmon_console.safe import safe
from jobmon_console.tui import texts
from jobmon_console.tui.panes.pane import Pane, Target
from jobmon_console.tui.panes.scrollback import Scrollback
from jobmon_console.tui.source import Reading
from jobmon_console.tui.widgets.lines import Lines, Span
from jobmon_wire.frames import DATA, NOTE, RECORD, Frame
from jobmon_wire.moments import write_moment

PREVIEW = 16 * 1024  # bytes of a file that are shown
PARENT = ".."
MARGIN = " "  # left of the text
_MARKS = {"directory": "/", "link": "@", "fifo": "|", "socket": "=", "device": "#", "block-device": "#"}


class FileList(Pane):
    """The entries of one directory."""

    HAS_CURSOR = True
    HEADS = 1

    def __init__(self) -> None:
        super().__init__("file-list")
        self.path = "."
        self._entries: list[dict[str, Any]] = []
        self._coming: list[dict[str, Any]] | None = None  # of the answer under way
        self._is_growing = False  # they are shown as they come: there was nothing to keep
        self._is_whole = False  # they take the place of those shown
        self._left_out = 0
        self._wanted = ""  # name of the directory that one came out of, until the cursor is on it

    def count(self) -> int:
        """Entries, the way up among them."""
        return len(self._entries)

    @property
    def chosen(self) -> dict[str, Any]:
        """The entry under the cursor."""
        return self._entries[self.cursor] if self.cursor < len(self._entries) else {}

    def path_of(self, name: str) -> str:
        """An entry's path in the sandbox."""
        return posixpath.normpath(posixpath.join(self.path, name))

    def ask(self, target: Target) -> Reading[Any] | None:
        """The directory's entries."""
        if not target.is_alive:
            self.problem = self.nobody(target)
            return None
        self._coming = [] if self.path == "." else [{"name": PARENT, "kind": "directory"}]
        self._is_whole, self._left_out = False, 0
        self._is_growing = len(self._entries) <= len(self._coming)
        source, call = target.source, calls.query(target.uuid, "ls", {"path": self.path})
        return Reading[Frame](lambda: source.frames(call))

    def take(self, item: Any) -> None:
        """Some entries."""
        if item.type == RECORD and self._coming is not None:
            found = item.document().get("entries")
            self._coming += [e for e in found if isinstance(e, dict)] if isinstance(found, list) else []
            if self._is_growing:
                self.came()
        elif item.type == NOTE and item.document().get("kind") == "more":
            self._left_out = int(item.document().get("entries") or 0)

    def ended(self, error: JobMonError | None) -> None:
        """The directory is listed, or cannot be; when it broke off, what is shown stays."""
        super().ended(error)
        self._is_whole = not passes(error)
        if error is None:
            self.came()

    def taken(self) -> None:
        """The cursor stays on its entry, and that where it is on the screen; the list moves behind it."""
        line = self.cursor - self.scroll_offset.y
        if self._coming is not None and (self._is_whole or self._is_growing):
            self._adopt(list(self._coming))
        super().taken()
        if self.scroll_offset.y > 0:
            self.scroll_to(y=max(0, self.cursor - line), animate=False)
        self.reveal()
        self.post_message(self.Moved(self))

    def _adopt(self, entries: list[dict[str, Any]]) -> None:
        names = [entry.get("name") for entry in entries]
        name = self._wanted if self._wanted in names else self.chosen.get("name")
        self.cursor = names.index(name) if name in names else max(0, min(self.cursor, len(entries) - 1))
        self._entries = entries
        if self._is_whole or name == self._wanted:
            self._wanted = ""
        if self._is_whole:
            self._coming = None

    def cursor_moved(self) -> None:
        """A person went elsewhere meanwhile."""
        self._wanted = ""

    def stop(self) -> None:
        """What came of an answer that is given up is nothing."""
        super().stop()
        self._coming = None

    def clear(self) -> None:
        """Nothing is known of the directory."""
        self._entries, self._left_out, self.cursor = [], 0, 0

    def select(self, target: Target | None) -> None:
        """Another job: its sandbox from the top."""
        if target is None or self.target is None or target.uuid != self.target.uuid:
            self.path, self._wanted = ".", ""
        super().select(target)

    def enter(self, name: str) -> None:
        """Into a directory, or out of this one."""
        if name == PARENT and self.path == ".":
            return
        self.stop()
        self._wanted = posixpath.basename(self.path) if name == PARENT else ""
        self.path, self.problem = self.path_of(name), ""
        self.empty()
        self.taken()

    def head(self, y: int) -> list[Span]:
        """Where this is."""
        spans: list[Span] = [(f" {safe(self.path)}", "accent")]
        if self._left_out:
            spans.append((f"  {self._left_out:,} more are not listed", "warn"))
        if self._entries and not self.problem:  # that is told with the age of the list
            room = self.size.width - sum(len(text) for text, _ in spans)
            told = f"  seen {self.age} ago"
            more = ", R asks again"
            spans.append((told + more if len(told + more) <= room else told, "dim"))
        return spans

    def tick(self, now: float) -> None:
        """The age of the list grows, too."""
        super().tick(now)
        if self._entries:
            self.refresh(Region(0, 0, self.size.width, self.HEADS))

    def spans(self, index: int) -> list[Span]:
        """Name, size, time."""
        entry = self._entries[index]
        kind = str(entry.get("kind") or "")
        at = texts.moment(entry.get("modified"))
        when = (write_moment(at) or "")[5:16].replace("T", " ") if at is not None else ""
        size = texts.size(entry.get("size")) if kind == "file" else ""
        width = max(8, self.scrollable_content_region.width - 1 - 7 - 13)
        target = f" -> {safe(str(entry['target']))}" if entry.get("target") else ""
        name = safe(str(entry.get("name") or "?")) + _MARKS.get(kind, "") + target
        style = {"directory": "accent", "file": "plain"}.get(kind, "info")
        return [(" " + texts.fit(name, width), style), (texts.fit(size, 7, right=True), "plain"), (f"  {when}", "dim")]


class Preview(Pane):
    """The beginning of one file."""

    HEADS = 1

    def __init__(self) -> None:
        super().__init__("file-preview")
        self.can_focus = False
        self.file = ""
        self._buffer = Scrollback()
        self._bytes = b""
        self._dump: list[str] = []  # of a file that is no text
        self._is_stale = False  # what is shown is of the answer before

    def count(self) -> int:
        """Lines."""
        return len(self._dump) or len(self._buffer.rows)

    def breadth(self) -> int:
        """Cells of the widest line, at most."""
        return (max(map(len, self._dump)) if self._dump else self._buffer.widest) + 8

    def ask(self, target: Target) -> Reading[Any] | None:
        """The file's first bytes."""
        if not self.file or not target.is_alive:
            self.problem = self.nobody(target)
            return None
        self._is_stale = True
        source = target.source
        call = calls.query(target.uuid, "head", {"file": self.file, "bytes": PREVIEW})
        return Reading[Frame](lambda: source.frames(call))

    def take(self, item: Any) -> None:
        """Some bytes."""
        if item.type == DATA:
            if self._is_stale:
                self.clear()
            self.came()
            self._buffer.feed(item.payload)
            self._bytes += item.payload
            self._draw_dump()

    def ended(self, error: JobMonError | None) -> None:
        """An answer without bytes is that of an empty file, or of none; when it broke off, what is shown stays."""
        super().ended(error)
        if self._is_stale and not passes(error):
            self.clear()

    def on_resize(self) -> None:
        """As many bytes a line as have room."""
        self._draw_dump()

    def _draw_dump(self) -> None:
        room = self.scrollable_content_region.width - len(MARGIN)
        self._dump = hexdump.lines(self._bytes, room) if hexdump.is_binary(self._bytes) else []

    def clear(self) -> None:
        """Another file."""
        self._buffer, self._bytes, self._dump, self._is_stale = Scrollback(), b"", [], False

    def choose(self, file: str) -> None:
        """Show this file; the request waits for the tick, so that a moving cursor does not ask for each."""
        if file != self.file:
            self.file = file
            self.problem = ""
            self.renew()
            self.empty()
            self.scroll_to(x=0, y=0, animate=False)
            self.taken()

    def head(self, y: int) -> list[Span]:
        """Which file, and that it is only the beginning."""
        if not self.file:
            return []
        is_cut = self._buffer.bytes >= PREVIEW
        parts = (["no text"] if self._dump else []) + ([f"first {texts.size(PREVIEW)}"] if is_cut else [])
        return [(f" {safe(self.file)}", "dim"), ("".join("  " + part for part in parts), "info")]

    def spans(self, index: int) -> list[Span]:
        """One line."""
        if self._dump:
            return [(MARGIN + self._dump[index], "plain")]
        return [(" " + safe(self._buffer.rows[index].data.removesuffix(b"\r"), tabs=8), "plain")]

    def emptiness(self) -> list[list[Span]]:
        """Nothing to preview."""
        if not self.file or self.target is None:
            return []
        if self.problem:
            return self.sentence(self.problem, "warn")[1:]
        return [[(" empty" if self._has_asked and self.reading is None else " …", "dim")]]


class Files(Horizontal):
    """The list and the preview, side by side."""

    def __init__(self) -> None:
        super().__init__(id="files")
        self.list = FileList()
        self.preview = Preview()

    def compose(self) -> ComposeResult:
        """The two."""
        yield self.list
        yield self.preview

    @property
    def target(self) -> Target | None:
        """The job they are about."""
        return self.list.target

    def select(self, target: Target | None) -> None:
        """Be about this job from now on."""
        if target is None or self.target is None or target.uuid != self.target.uuid:
            self.preview.choose("")
        self.list.select(target)
        self.preview.select(target)

    def show(self, is_shown: bool) -> None:
        """The tab is on the screen now, or not any more."""
        self.list.show(is_shown)
        self.preview.show(is_shown)

    def tick(self, now: float) -> None:
        """Ask, and show what came."""
        self.list.tick(now)
        self.preview.tick(now)

    def troubles(self) -> list[str]:
        """Why nothing newer comes of the directory; and of the file, if that is another reason."""
        found = self.list.troubles()
        if self.preview.problem != self.list.problem or not found:
            found += [f"{safe(self.preview.file)}: {text}" for text in self.preview.troubles()]
        return found

    def renew(self) -> None:
        """List the directory again."""
        self.list.renew()
        self.preview.renew()

    def stop(self) -> None:
        """Nobody looks at this any more."""
        self.list.stop()
        self.preview.stop()

    def enter(self) -> str:
        """Into the directory under the cursor; the path of a file there, to be opened elsewhere."""
        entry = self.list.chosen
        name = str(entry.get("name") or "")
        if entry.get("kind") == "directory":
            self.list.enter(name)
            return ""
        return self.list.path_of(name) if name else ""

    def on_lines_moved(self, event: Lines.Moved) -> None:
        """Preview the file under the cursor."""
        entry = self.list.chosen
        is_file = entry.get("kind") in ("file", "link")
        self.preview.choose(self.list.path_of(str(entry.get("name"))) if is_file else "")

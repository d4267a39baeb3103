"""What the command palette finds: the actions of the key table, and jobs.

Everything goes in as ``Text``: the palette reads plain strings as markup, and a
job's name is outside text.
"""

from collections.abc import Callable, Iterator
from functools import partial

from rich.text import Text
from textual.command import DiscoveryHit, Hit, Hits, Provider

from jobmon_console.keys import KEYS, Key, shown
from jobmon_console.safe import safe
from jobmon_console.tui.listing import Entry
from jobmon_console.tui.screens.jobs import JobsScreen
from jobmon_console.tui.states import job_look
from jobmon_console.tui.theme import THEMES
from jobmon_console.views import SHIPPED

BEGINS, ACTION, CONTAINS = 3.0, 2.0, 1.0  # scores: a job's id as typed, an action, a job with it somewhere
MOST_JOBS = 50  # found jobs; a person types one more letter


class Actions(Provider):
    """Everything the keys do, by what it does."""

    async def discover(self) -> Hits:
        """All that can be done now."""
        for key, act in self._actions():
            yield DiscoveryHit(_action_text(key), act, text=key.help)

    async def search(self, query: str) -> Hits:
        """What fits the words typed."""
        words = query.casefold().split()
        for key, act in self._actions():
            text = f"{key.id.replace('_', ' ')} {key.help}".casefold()
            if all(word in text for word in words):
                yield Hit(ACTION, _action_text(key), act, text=key.help)

    def _actions(self) -> Iterator[tuple[Key, Callable[[], None]]]:
        screen = self.screen
        if isinstance(screen, JobsScreen):
            for key in KEYS:
                if key.in_palette and (key.scope == "app" or screen.is_valid(key.id)):
                    yield key, _doing(screen, key)


class Views(Provider):
    """Named views."""

    async def search(self, query: str) -> Hits:
        """Those whose name contains what was typed; ``view`` stands for all."""
        screen, words = self.screen, query.casefold().split()
        if not isinstance(screen, JobsScreen):
            return
        for name, selector in {**SHIPPED, **screen.views}.items():
            if all(word in f"view {name}".casefold() for word in words):
                text = Text(f"view {safe(name)}  {safe(selector)}")
                yield Hit(ACTION, text, _opening(screen, name), text=f"view {safe(name)}")


class Themes(Provider):
    """The colours."""

    async def search(self, query: str) -> Hits:
        """Those whose name contains what was typed; ``theme`` stands for all."""
        words = query.casefold().split()
        for name, theme in THEMES.items():
            if all(word in f"theme {name}".casefold() for word in words):
                yield Hit(ACTION, Text(f"theme {name}"), partial(setattr, self.app, "theme", theme.name))


class GoToJob(Provider):
    """Jobs by id, name or node."""

    async def search(self, query: str) -> Hits:
        """The first jobs that contain what was typed."""
        screen, wanted, found = self.screen, query.casefold(), 0
        if not isinstance(screen, JobsScreen):
            return
        for uuid, entry in list(screen.board.entries.items()):
            words = [str(entry.row.get(field) or "") for field in ("id", "name", "node")]
            if any(wanted in word.casefold() for word in words):
                found += 1
                score = BEGINS if words[0].casefold().startswith(wanted) else CONTAINS
                yield Hit(score, _job_text(entry), _going(screen, uuid), text=safe(words[0]))
            if found >= MOST_JOBS:
                return


def _doing(screen: JobsScreen, key: Key) -> Callable[[], None]:
    def act() -> None:
        # The palette closes first; the action is about the screen below it.
        screen.app.call_later(screen.action_do, key.id)

    return act


def _going(screen: JobsScreen, uuid: str) -> Callable[[], None]:
    def act() -> None:
        screen.app.call_later(screen.reveal, uuid)

    return act


def _opening(screen: JobsScreen, name: str) -> Callable[[], None]:
    def act() -> None:
        screen.app.call_later(screen.open_view, name)

    return act


def _action_text(key: Key) -> Text:
    return Text.assemble((f"{shown(key.keys[0]):10}", "bold"), key.help)


def _job_text(entry: Entry) -> Text:
    row, look = entry.row, job_look(entry.row)
    words = [safe(str(row.get(field) or "")) for field in ("name", "node", "owner")]
    return Text(f"go to {safe(str(row.get('id') or ''))}  {look.glyph} {look.word}  {'  '.join(words)}")

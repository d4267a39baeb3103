"""Textual's bindings, made from the one table of keys."""

from collections.abc import Iterable

from textual.binding import Binding

from jobmon_console.keys import APP, KEYS, Key

# What a dialog understands of the table; the rest of the keys mean nothing there.
IN_DIALOGS = (
    "up",
    "down",
    "page_up",
    "page_down",
    "top",
    "bottom",
    "left",
    "right",
    "enter",
    "escape",
    "next_pane",
    "previous_pane",
)


def bindings(keys: Iterable[Key]) -> list[Binding]:
    """One binding per key of the table, all of them with the action ``do``.

    What is valid everywhere has priority: else such a key, typed right behind
    one that closes a dialog, would go to the dialog and be lost with it.
    """
    return [
        Binding(
            ",".join(key.keys),
            f"do('{key.id}')",
            key.label or key.help,
            id=key.id,
            show=bool(key.label),
            priority=key.scope == APP,
        )
        for key in keys
    ]


APP_KEYS = [key for key in KEYS if key.scope == APP]
SCREEN_KEYS = [key for key in KEYS if key.scope != APP]
DIALOG_KEYS = [key for key in KEYS if key.id in IN_DIALOGS]

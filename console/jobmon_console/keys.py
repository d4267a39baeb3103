"""The keys of the console: one table for bindings, footer, palette and help.

A key has one meaning wherever it is valid; its scope says where that is, and
two that are never valid at the same time may share a key.  Keys are written as
a terminal library names them (``ctrl+u``, ``pageup``) or as the character
itself.  Lower case looks, upper case or a dialog acts.  ``k`` is "up", so
killing is ``x``.  Nothing here draws or knows the widgets.
"""

from collections.abc import Mapping
from typing import NamedTuple

from jobmon_console.errors import UsageError

# Scopes, from everywhere to narrow
APP = "app"  # everywhere, dialogs too
SCREEN = "screen"  # on the job screen, unless text is being typed
LIST = "list"  # the table or the tree of clusters has the focus
TABLE = "table"  # the table has the focus
DETAIL = "detail"  # the detail pane has the focus
OUTPUT = "output"  # the Output tab is on the screen
TOP = "top"  # the Top tab is on the screen
TREE = "tree"  # the Tree tab has the focus
FILES = "files"  # the Files tab has the focus

# What a scope needs: where the focus is, and which tab is on the screen.  What it does not name may be any.
_FOCUS = {LIST: "list", TABLE: "list", DETAIL: "detail", TREE: "detail", FILES: "detail"}
_TAB = {OUTPUT: "output", TOP: "top", TREE: "tree", FILES: "files"}

# The bytes of Enter, Tab, Backspace and line feed, of flow control, and the prefixes of screen and tmux:
# a terminal or a multiplexer takes them before any program sees them.
UNUSABLE = frozenset(["ctrl+a", "ctrl+b", "ctrl+h", "ctrl+i", "ctrl+j", "ctrl+m", "ctrl+s"])

MOVES = ("up", "down", "page_up", "page_down", "top", "bottom", "left", "right")
TABS = ("output", "top", "tree", "files", "info", "events")


class Key(NamedTuple):
    """One thing the console does on a key."""

    id: str
    keys: tuple[str, ...]
    scope: str
    label: str  # in the footer; empty: not shown there
    group: str  # heading in the help
    help: str
    is_danger: bool = False  # acts on jobs: refused when read-only
    in_palette: bool = True


def _move(id_: str, keys: tuple[str, ...], help_: str) -> Key:
    return Key(id_, keys, SCREEN, "", "Move", help_, in_palette=False)


def _tab(number: int, help_: str) -> Key:
    return Key(f"tab_{TABS[number - 1]}", (str(number),), SCREEN, "", "Detail", help_)


KEYS: tuple[Key, ...] = (
    _move("up", ("up", "k"), "one line up"),
    _move("down", ("down", "j"), "one line down"),
    _move("page_up", ("pageup", "ctrl+u"), "one page up"),
    _move("page_down", ("pagedown", "ctrl+d"), "one page down"),
    _move("top", ("home", "g"), "to the first line"),
    _move("bottom", ("end", "G"), "to the last line; in Output, follow again"),
    _move("left", ("left",), "scroll left"),
    _move("right", ("right",), "scroll right"),
    Key(
        "enter",
        ("enter",),
        SCREEN,
        "open",
        "Move",
        "in: fold a group or a process, open a job, enter a directory",
        in_palette=False,
    ),
    Key(
        "escape",
        ("escape",),
        SCREEN,
        "back",
        "Move",
        "out: leave dialog, input, filter, then pane; never quits",
        in_palette=False,
    ),
    Key("next_pane", ("tab",), SCREEN, "", "Move", "next pane"),
    Key("previous_pane", ("shift+tab",), SCREEN, "", "Move", "previous pane"),
    Key(
        "filter",
        ("/",),
        SCREEN,
        "filter",
        "Jobs",
        "filter by a selector, live; in Output: find a text",
    ),
    Key("mark", ("space",), TABLE, "mark", "Jobs", "mark or unmark the job and step down"),
    Key("mark_range", ("v",), TABLE, "", "Jobs", "mark from here to where it is pressed again"),
    Key("mark_all", ("A",), LIST, "", "Jobs", "mark every job that matches"),
    Key("unmark_all", ("U",), LIST, "", "Jobs", "remove all marks"),
    Key("kill", ("x", "delete"), SCREEN, "kill", "Jobs", "send a signal to the marked jobs, or the current one", True),
    Key("sort", ("s",), LIST, "sort", "Jobs", "choose the column to sort by"),
    Key("sort_left", ("<",), LIST, "", "Jobs", "sort by the column to the left"),
    Key("sort_right", (">",), LIST, "", "Jobs", "sort by the column to the right"),
    Key("reverse", ("r",), LIST, "", "Jobs", "reverse the order"),
    Key("columns", ("C",), LIST, "", "Jobs", "choose the columns"),
    Key("views", ("V",), SCREEN, "views", "Jobs", "open a named view, keep the filter as one, or remove one"),
    Key("fold", ("e",), LIST, "fold", "Jobs", "fold or unfold the cluster or node"),
    Key("grouping", ("b",), LIST, "", "Jobs", "group by cluster and node, by cluster, or not at all"),
    Key("pause", ("p",), SCREEN, "pause", "Jobs", "hold the table still; data keeps coming in"),
    _tab(1, "Output: what the job prints"),
    _tab(2, "Top: its processes and the node, live"),
    _tab(3, "Tree: its processes as a tree"),
    _tab(4, "Files: its sandbox"),
    _tab(5, "Info: everything known of the job and its node"),
    _tab(6, "Events: what happened to the job, and what was done to it"),
    Key("previous_tab", ("[",), SCREEN, "", "Detail", "previous tab"),
    Key("next_tab", ("]",), SCREEN, "", "Detail", "next tab"),
    Key("zoom", ("z",), SCREEN, "zoom", "Detail", "detail pane: half, full, hidden"),
    Key("follow", ("f",), OUTPUT, "follow", "Detail", "follow the end of the output, on or off"),
    Key("stream", ("o",), OUTPUT, "stderr", "Detail", "standard output or standard error"),
    Key("find_next", ("n",), OUTPUT, "", "Detail", "next line with the text that is looked for"),
    Key("find_previous", ("N",), OUTPUT, "", "Detail", "the line before with the text"),
    Key("jump", ("ctrl+g",), OUTPUT, "", "Detail", "jump to 45%, to byte 12M, to 14:02 (UTC) or to -10m"),
    Key("wrap", ("w",), OUTPUT, "wrap", "Detail", "fold long lines to the width, or let them run on"),
    Key("times", ("T",), OUTPUT, "", "Detail", "show when each line came (UTC), from now on"),
    Key("rule", ("m",), OUTPUT, "", "Detail", "draw a line below what has come so far"),
    Key("order_cpu", ("P",), TOP, "CPU", "Detail", "order the processes by the CPU they use now"),
    Key("order_memory", ("M",), TOP, "memory", "Detail", "order the processes by their memory"),
    Key("order_time", ("T",), TOP, "time", "Detail", "order the processes by the CPU time they have used"),
    Key("faster", ("+",), TOP, "faster", "Detail", "sample the processes more often, every 0.5 s at the most"),
    Key("slower", ("-",), TOP, "slower", "Detail", "sample the processes less often, every 8 s at the least"),
    Key("fold_process", ("e",), TREE, "", "Detail", "fold or unfold what is below the process"),
    Key("kill_process", ("X",), TREE, "signal", "Detail", "send a signal to this process alone", True),
    Key("tail_file", ("t",), FILES, "tail", "Detail", "follow the chosen file in the Output tab"),
    Key("parent", ("backspace",), FILES, "up", "Detail", "to the directory above"),
    Key("nodes", ("f2",), SCREEN, "", "Other", "the nodes: what runs where, and where agents are silent"),
    Key("activity", ("f3",), SCREEN, "", "Other", "the activity: who did what to which job"),
    Key("connect", ("f4",), SCREEN, "", "Other", "the connections: which servers, as whom, and what is wrong"),
    Key("save", ("S",), SCREEN, "", "Detail", "save the output, or the chosen file, to a file here"),
    Key(
        "copy",
        ("y",),
        SCREEN,
        "copy",
        "Other",
        "copy the selection, the id, or a pid in Tree (tmux: set-clipboard on)",
    ),
    Key("copy_command", ("Y",), SCREEN, "", "Other", "copy what is on the screen as a command line"),
    Key("reconnect", ("R",), SCREEN, "", "Other", "connect again now; refresh the detail pane"),
    Key("palette", ("ctrl+p", ":"), SCREEN, "palette", "Other", "find an action or a job by name", in_palette=False),
    Key("help", ("?", "f1"), SCREEN, "help", "Other", "this page", in_palette=True),
    Key("leave", ("q",), LIST, "quit", "Other", "quit, from the list of jobs", in_palette=False),
    Key("redraw", ("ctrl+l",), APP, "", "Other", "draw the screen anew", in_palette=False),
    Key("quit", ("ctrl+q",), APP, "", "Other", "quit, from anywhere"),
    Key("suspend", ("ctrl+z",), APP, "", "Other", "stop here and go back to the shell; fg returns"),
)

BY_ID = {key.id: key for key in KEYS}
GROUPS = ("Move", "Jobs", "Detail", "Other")

_SHOWN = {
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "enter": "↵",
    "escape": "Esc",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "home": "Home",
    "end": "End",
    "tab": "Tab",
    "shift+tab": "Shift+Tab",
    "backspace": "Bksp",
    "delete": "Del",
    "f1": "F1",
    "f2": "F2",
    "f3": "F3",
    "f4": "F4",
}

_SPELLED = {"up": "Up", "down": "Down", "left": "Left", "right": "Right", "enter": "Enter"}  # where there is only ASCII
_are_spelled = False


def remapped(changes: Mapping[str, str]) -> tuple[Key, ...]:
    """The table with other keys for some ids.

    Args:
        changes: id: keys, with commas between them.

    Raises:
        UsageError: no such id, no key, one that terminals keep, or one that means something else already.
    """
    for id_, text in changes.items():
        if id_ not in BY_ID:
            raise UsageError(f"keys: there is nothing called {id_!a}; the names are {' '.join(BY_ID)}")
        for key in _split(text):
            if key in UNUSABLE:
                raise UsageError(f"keys: terminals keep {key} to themselves; choose another one for {id_}")
    table = tuple(key._replace(keys=_split(changes[key.id])) if key.id in changes else key for key in KEYS)
    owners: dict[str, list[Key]] = {}
    for entry in table:
        for key in entry.keys:
            for owner in owners.setdefault(key, []):
                if owner.id != entry.id and can_meet(owner.scope, entry.scope):
                    raise UsageError(f"keys: {key} would mean both {owner.id} and {entry.id}; choose another one")
            owners[key].append(entry)
        if not entry.keys:
            raise UsageError(f"keys: {entry.id} needs a key; leave it out to keep its own")
    return table


def can_meet(scope: str, other: str) -> bool:
    """Whether keys of both scopes may be valid at the same time."""
    needed = [(places.get(scope), places.get(other)) for places in (_FOCUS, _TAB)]
    return all(one is None or two is None or one == two for one, two in needed)


def namesakes(id_: str) -> list[Key]:
    """What one of its keys means elsewhere."""
    own = BY_ID[id_]
    return [key for key in KEYS if key.id != id_ and not set(key.keys).isdisjoint(own.keys)]


def use(changes: Mapping[str, str]) -> None:
    """Let a person's own keys be the table, before anything is made from it.

    Raises:
        UsageError: see ``remapped``.
    """
    global KEYS, BY_ID
    KEYS = remapped(changes)
    BY_ID = {key.id: key for key in KEYS}


def _split(text: str) -> tuple[str, ...]:
    return tuple(key.strip() for key in text.split(",") if key.strip())


def spell(is_wanted: bool) -> None:
    """Write keys in ASCII from now on, or with arrows."""
    global _are_spelled
    _are_spelled = is_wanted


def shown(key: str) -> str:
    """A key as the footer and the help write it."""
    return (_are_spelled and _SPELLED.get(key)) or _SHOWN.get(key, key)

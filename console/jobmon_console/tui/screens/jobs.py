"""The screen of jobs: what each of its keys does.

One method per key of the table that is neither a move nor a tab, named after
the key's id.
"""

from jobmon_console.keys import BY_ID, MOVES, TABS, namesakes, shown
from jobmon_console.safe import safe
from jobmon_console.tui.explain import FIRST_JOB
from jobmon_console.tui.layout import SINGLE
from jobmon_console.tui.listing import JOB
from jobmon_console.tui.notices import COPIED, JUMPED, SAVED
from jobmon_console.tui.order import DEFAULT, SORTS
from jobmon_console.tui.panes.output import Output
from jobmon_console.tui.panes.pane import Target
from jobmon_console.tui.screens import commands
from jobmon_console.tui.screens.activity import Activity
from jobmon_console.tui.screens.connect import Connect
from jobmon_console.tui.screens.help import Help
from jobmon_console.tui.screens.joblist import JobsList
from jobmon_console.tui.screens.kill import Kill
from jobmon_console.tui.screens.nodes import Nodes
from jobmon_console.tui.screens.save import Save
from jobmon_console.tui.screens.view import HALF, HIDDEN, WHERE, ZOOMS
from jobmon_console.tui.shots import TOO_OLD
from jobmon_console.tui.widgets.lines import Lines
from jobmon_wire.jobs import ENDED
from jobmon_wire.verbs import STREAMS

NO_JOB = "no job is chosen: put the cursor on one, or mark some with Space"
NOBODY_HEARS = "nobody is there to take a signal: the job has ended, or is lost"
NO_PROCESS = "no process is chosen: the list has not come yet"
NOTHING_BELOW = "there is no process below this one: nothing to fold"
CLIPBOARD = 64 * 1024  # characters; terminals cut or refuse longer ones


class JobsScreen(JobsList, inherit_bindings=True):
    """Everything about jobs."""

    def action_do(self, id_: str) -> None:
        """Do what a key means."""
        self.touched()
        if not self.is_valid(id_) and id_ != "kill":
            places = [WHERE[key.scope] for key in (BY_ID[id_], *namesakes(id_)) if key.scope in WHERE]
            self.say(f"{shown(BY_ID[id_].keys[0])} is a key {' and '.join(places)}")
        elif id_ in MOVES:
            self._moving.move(id_)
        elif id_.startswith("tab_") and id_[4:] in TABS:
            self.detail.open_tab(id_[4:])
            self._show_detail()
        else:
            getattr(self, "do_" + id_)()

    def on_lines_chosen(self, event: Lines.Chosen) -> None:
        """A double click is Enter."""
        self.action_do("enter")

    @property
    def _moving(self) -> Lines:
        return self.focused if isinstance(self.focused, Lines) else self.table

    def action_copy_or_tell(self) -> None:
        """Ctrl-C copies what is selected with the mouse; it ends nothing here."""
        if self.get_selected_text():
            self.action_copy_text()
        else:
            self.say("Ctrl-C copies what the mouse has selected; Ctrl-Q leaves")

    # In and out

    def do_enter(self) -> None:
        """In: fold a heading or a process, open a job, enter a directory."""
        if self.focused is self.clusters:
            line = self.clusters.chosen
            if line is not None and self.table.go_to(line.key):
                self.set_focus(self.table)
        elif self.focused is self.detail.processes:
            self.do_fold_process()
        elif self.focused is self.detail.files.list:
            file = self.detail.files.enter()
            if file:
                self.do_tail_file()
        elif self.focused is self.table:
            line = self.table.current
            if line is not None and line.kind != JOB:
                self.do_fold()
            elif line is not None:
                self._show_detail()
                self.set_focus(self.detail.lines)  # at once: what is typed next is meant for it

    def do_escape(self) -> None:
        """Out: leave the input as it was, stop looking, forget what for, a range, the filter; leave the pane."""
        if self.detail.field is not None:
            self.detail.give_up()
        elif self.is_typing:
            self.leave_filter()
        elif self.focused is self.detail.output and self.detail.output.stop_looking():
            pass
        elif self.focused is self.detail.output and self.detail.output.search:
            self.detail.output.forget_find()
        elif self.focused is self.table and self.table.range_from:
            self.table.range_from = ""
            self.table.refresh()
        elif self.board.filter:
            self.filter.input.value = ""
            self.set_filter("")
            self.filter.display = False
        else:
            self._leave_pane()

    def do_next_pane(self) -> None:
        """To the next pane on the screen."""
        self._step_pane(1)

    def do_previous_pane(self) -> None:
        """To the pane before."""
        self._step_pane(-1)

    def do_zoom(self) -> None:
        """Half, full, hidden."""
        self.zoom = ZOOMS[(ZOOMS.index(self.zoom) + 1) % len(ZOOMS)]
        if self.zoom == HIDDEN:
            self.set_focus(self.table)
        self.arrange_panes()

    def _show_detail(self) -> None:
        self.zoom = HALF if self.zoom == HIDDEN else self.zoom
        self.is_in_detail = True
        self.arrange_panes()
        if self.layout_name == SINGLE:
            self.set_focus(self.detail.lines)

    def _leave_pane(self) -> None:
        self.is_in_detail = False
        self.zoom = HALF if self.zoom != HIDDEN else HIDDEN
        self.arrange_panes()
        self.set_focus(self.table)

    def _step_pane(self, step: int) -> None:
        if self.layout_name == SINGLE:
            if self.is_in_detail:
                self._leave_pane()
            else:
                self._show_detail()
            return
        panes = [pane for pane in (self.clusters, self.table, self.detail.lines) if pane.region]
        at = panes.index(self.focused) if self.focused in panes else 0
        panes[(at + step) % len(panes)].focus()

    # The detail

    def do_next_tab(self) -> None:
        """The tab to the right."""
        self._step_tab(1)

    def do_previous_tab(self) -> None:
        """The tab to the left."""
        self._step_tab(-1)

    def do_follow(self) -> None:
        """Stay at the end of the output, or stop there."""
        self.detail.output.toggle_follow()

    def do_stream(self) -> None:
        """The other stream."""
        self.detail.output.other_stream()

    def do_jump(self) -> None:
        """Type a place of the output."""
        self.detail.open_jump()

    def on_output_told(self, event: Output.Told) -> None:
        """What the output says of where it went."""
        self.say(event.text, JUMPED)

    def do_find_next(self) -> None:
        """The next line with the text."""
        self.detail.output.find_next(1)

    def do_find_previous(self) -> None:
        """The line before with the text."""
        self.detail.output.find_next(-1)

    def do_wrap(self) -> None:
        """Fold long lines, or let them run on."""
        self.detail.output.toggle_fold()

    def do_times(self) -> None:
        """Show when lines came, or do not."""
        self.detail.output.toggle_times()

    def do_rule(self) -> None:
        """Draw a line below what has come."""
        self.detail.output.draw_rule()
        if self.detail.output.is_part:
            self.say("the line stands at the end that is followed, not in this part")

    def do_order_cpu(self) -> None:
        """The processes that use most first."""
        self.detail.top.choose("cpu")

    def do_order_memory(self) -> None:
        """The largest processes first."""
        self.detail.top.choose("memory")

    def do_order_time(self) -> None:
        """The processes that have used most first."""
        self.detail.top.choose("time")

    def do_faster(self) -> None:
        """Sample more often."""
        self.detail.top.hurry(1)

    def do_slower(self) -> None:
        """Sample less often."""
        self.detail.top.hurry(-1)

    def do_fold_process(self) -> None:
        """Fold or unfold what is below the process."""
        if self.detail.processes.chosen is not None and not self.detail.processes.fold():
            self.say(NOTHING_BELOW)

    def do_tail_file(self) -> None:
        """Follow the file under the cursor in the Output tab."""
        entry = self.detail.files.list.chosen
        if entry.get("kind") in ("file", "link"):
            file = self.detail.files.list.path_of(str(entry.get("name")))
            self.detail.open_tab("output")
            self.detail.output.choose(file)

    def do_save(self) -> None:
        """Write the output, or the chosen file, to a file here."""
        target, file, size = self.target, self.detail.output.file, None
        if self.detail.tab == "files":
            entry = self.detail.files.list.chosen
            file = self.detail.files.list.path_of(str(entry.get("name"))) if entry.get("kind") == "file" else ""
            size = entry.get("size") if isinstance(entry.get("size"), int) else None
        if target is None or not file:
            self.say("no file is chosen")
        elif not target.is_alive and (file not in STREAMS or target.row.get("state") != ENDED):
            self.say("the job does not run any more: of its files only the last output was kept")
        else:
            self.app.push_screen(Save(target, file, size), self._saved)

    def _saved(self, text: str | None) -> None:
        if text:
            self.say(text, SAVED)

    def do_parent(self) -> None:
        """To the directory above."""
        self.detail.files.list.enter("..")

    def _step_tab(self, step: int) -> None:
        self.detail.open_tab(TABS[(TABS.index(self.detail.tab) + step) % len(TABS)])
        self._show_detail()

    # Acting

    def do_kill(self) -> None:
        """The dialog, with the targets of this moment."""
        chosen = self.marked_or_current()
        targets = [target for target in chosen if target.is_alive]
        self._ask_to_kill(targets, NOBODY_HEARS if chosen else NO_JOB)

    def do_kill_process(self) -> None:
        """The dialog, with the process under the cursor as it is known at this moment."""
        row, target = self.detail.processes.chosen, self.detail.processes.target
        if row is None or target is None or not target.is_alive:
            self._ask_to_kill([], NO_PROCESS if row is None or target is None else NOBODY_HEARS)
        else:
            is_named = isinstance(row.process.get("started_exactly"), str)
            self._ask_to_kill([target._replace(process=row.process)] if is_named else [], TOO_OLD)

    def _ask_to_kill(self, targets: list[Target], why_none: str) -> None:
        if self.site.read_only:
            self.say("read-only: nothing is sent to a job; start without --read-only")
        elif not targets:
            self.say(why_none)
        else:
            foreign = any(target.row.get("owner_name") != target.feed.me for target in targets)
            self.app.push_screen(Kill(targets, foreign, self.site.volley.send))

    # Other

    def do_copy(self) -> None:
        """What is selected with the mouse; else of a process its pid, of jobs the ids of the marked or the current."""
        selected = self.get_selected_text()
        if selected:
            self._copy(selected)
            return
        row = self.detail.processes.chosen if self.focused is self.detail.processes else None
        if row is not None:
            self._copy(str(row.process.get("pid", "")))
            return
        targets = self.marked_or_current()
        if targets:
            self._copy("\n".join(str(target.row.get("id") or target.uuid) for target in targets))
        elif not self.board.entries:
            self._copy(FIRST_JOB)

    def do_copy_command(self) -> None:
        """What the screen shows, as a command."""
        if self.detail.has_focus_within and self.target is not None:
            files = {"output": self.detail.output.file, "files": self.detail.files.list.path}
            job = str(self.target.row.get("id") or self.target.uuid)
            options = self.detail.top.options() if self.detail.tab == "top" else []
            file = files.get(self.detail.tab, "")
            self._copy(commands.detail(self.detail.tab, job, file, [*options, *self.site.typed]))
        else:
            sort = SORTS[self.board.sort].word(self.board.is_reversed)
            is_usual = self.board.sort == DEFAULT and not self.board.is_reversed
            self._copy(commands.jobs(self.board.filter, "" if is_usual else sort, self.site.typed))

    def do_reconnect(self) -> None:
        """Try again now; ask again now."""
        for feed in self.board.feeds:
            feed.retry()
        self.detail.renew()

    def do_nodes(self) -> None:
        """The page of nodes."""
        self.app.push_screen(Nodes(self.board, self.site.now, self.use_filter), self._turn_to)

    def do_activity(self) -> None:
        """The page of activity."""
        self.app.push_screen(Activity(self.board.feeds, self.site.steady), self._turn_to)

    def do_connect(self) -> None:
        """The page of connections."""
        self.app.push_screen(Connect(self.board.feeds, self.site.steady), self._turn_to)

    def _turn_to(self, page: str | None) -> None:
        if page:
            self.action_do(page)

    def do_palette(self) -> None:
        """Find an action or a job."""
        self.app.action_command_palette()

    def do_help(self) -> None:
        """The keys."""
        self.app.push_screen(Help())

    def do_leave(self) -> None:
        """Quit, from the list."""
        self.app.exit()

    def do_quit(self) -> None:
        """Quit, from anywhere."""
        self.app.exit()

    def do_suspend(self) -> None:
        """Stop here and go back to the shell."""
        self.app.action_suspend_process()

    def do_redraw(self) -> None:
        """Whatever another program wrote over it."""
        self.app.screen.refresh(layout=True)

    def _copy(self, text: str) -> None:
        text = safe(text[:CLIPBOARD], keep="\n")
        self.app.copy_to_clipboard(text)
        self.say(f"copied: {text[:60]}", COPIED)

"""What scrolled by in the output can be found, folded, dated and divided, and stays under the eye meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.events import Key, Paste
from textual.widgets import Input

from jobmon_console.tui.app import Console
from jobmon_console.tui.panes.folding import Folding
from jobmon_console.tui.panes.search import Search
from jobmon_console.tui.screens.save import Status
from jobmon_wire.cursor import Cursor
from jobmon_wire.frames import DATA, NOTE, Frame
from tests.console.tui.conftest import frame

TEXTS = st.text(st.sampled_from("ab AB.[表é"), max_size=30)
STEPS = st.lists(st.one_of(st.lists(TEXTS, max_size=4), st.integers(0, 3), TEXTS), max_size=12)


def play(steps: list[Any], texts: list[str], *parts: Any) -> None:
    """Rows come, the last one grows, the first ones go."""
    for step in steps:
        if isinstance(step, list):
            texts += step
        elif isinstance(step, int):
            gone = min(step, len(texts))
            for part in parts:
                part.follow(len(texts))
                part.drop(gone)
            del texts[:gone]
        elif texts:
            texts[-1] += step
        for part in parts:
            part.follow(len(texts))


@given(STEPS, st.integers(2, 9))
def test_folded_rows_hold_every_character_once_and_fit(steps: list[Any], width: int) -> None:
    texts: list[str] = []
    folding = Folding(texts.__getitem__)
    folding.restart(width)

    play(steps, texts, folding)

    for row, text in enumerate(texts):
        pieces = [piece for piece in folding.pieces if piece.row == row]
        assert "".join(text[piece.start : piece.end] for piece in pieces) == text
        assert all(cell_len(text[piece.start : piece.end]) <= width for piece in pieces)
        assert folding.pieces[folding.line_of(row)] == pieces[0]
    assert [piece.row for piece in folding.pieces] == sorted(piece.row for piece in folding.pieces)


@given(STEPS, st.sampled_from(["a", "A", "b.", "[", "表", "é"]))
def test_found_rows_are_those_that_a_look_at_all_of_them_finds(steps: list[Any], wanted: str) -> None:
    texts: list[str] = []
    search = Search(wanted, texts.__getitem__)

    play(steps, texts, search)

    fold = str.lower if wanted == wanted.lower() else str
    assert search.rows == [row for row, text in enumerate(texts) if wanted in fold(text)]
    for row in range(len(texts)):
        after = [found for found in search.rows if found > row] or search.rows
        assert search.next(row, 1) == (after[0] if after else None)
        before = [found for found in search.rows if found < row] or search.rows
        assert search.next(row, -1) == (before[-1] if before else None)


async def test_a_text_is_found_as_it_is_typed_and_n_goes_on(
    console: Console, source: Any, settle: Any, screen_text: Any
) -> None:
    source.output = b"".join(b"step %d %s\n" % (n, b"Loss" if n % 50 == 7 else b"ok") for n in range(400))
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: "step 399" in screen_text(console))
        await pilot.press("enter", "slash", *"loss", "enter")
        await settle(pilot, lambda: "match 8 of 8: loss" in screen_text(console))

        assert "step 357 Loss" in screen_text(console)
        await pilot.press("n")
        await settle(pilot, lambda: "match 1 of 8: loss" in screen_text(console))
        assert "step 7 Loss" in screen_text(console)
        await pilot.press("N", "N")
        await settle(pilot, lambda: "step 307 Loss" in screen_text(console))
        assert not console.jobs.detail.output.follows
        await pilot.press("slash", "escape", "escape")
        await settle(pilot, lambda: ": loss" not in screen_text(console))
        assert console.jobs.detail.output.has_focus


@pytest.mark.parametrize("keys", [[], ["home", "pagedown"], ["w", "pageup", "pageup"]])
async def test_a_search_that_is_given_up_leaves_the_output_as_it_was(
    console: Console, source: Any, settle: Any, screen_text: Any, keys: list[str]
) -> None:
    source.output = b"".join(b"step %d %s\n" % (n, b"loss" * 60 if n % 50 == 7 else b"ok") for n in range(400))
    output = console.jobs.detail.output
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: "step 399" in screen_text(console))
        await pilot.press("enter", "slash", *"ok", "enter", "end", *keys)
        await settle(pilot, lambda: "/ find" in screen_text(console))  # the footer is drawn last
        follows, seen = output.follows, screen_text(console).split("step")[1:]
        line = output.line
        assert follows is (keys == [])
        await pilot.press("slash", *"step 20")
        await settle(pilot, lambda: ": step 20" in screen_text(console))
        assert screen_text(console).split("step")[1:] != seen
        await pilot.press("q")  # "step 2", which was found on the way, is not where a text is that is nowhere
        await settle(pilot, lambda: "no line with step 20q" in screen_text(console))
        assert (output.follows, output.line) == (follows, output.max_scroll_y if follows else line)
        await pilot.press("backspace")
        await settle(pilot, lambda: ": step 20" in screen_text(console))
        await pilot.press("escape")
        await settle(pilot, lambda: ": ok" in screen_text(console))

        assert output.follows is follows
        await settle(pilot, lambda: screen_text(console).split("step")[1:] == seen)


async def test_the_end_is_followed_behind_a_dialog(
    console: Console, source: Any, settle: Any, screen_text: Any
) -> None:
    """Also where the output outgrows its pane while the dialog lies before it."""
    told, more = asyncio.Event(), asyncio.Event()

    async def answer(verb: str, arguments: dict[str, Any]) -> AsyncIterator[Frame]:
        if verb == "tail":
            yield frame(DATA, b"step 0\n")
            await more.wait()
            yield frame(DATA, b"".join(b"step %d\n" % n for n in range(1, 60)))
            told.set()
            await asyncio.Event().wait()

    source._answer = answer
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: "step 0" in screen_text(console))
        await pilot.press("enter", "x")
        await settle(pilot, lambda: "kill" in screen_text(console).lower())
        more.set()
        await settle(pilot, lambda: told.is_set() and console.jobs.detail.output.count() == 60)
        await pilot.press("escape")

        await settle(pilot, lambda: "step 59" in screen_text(console))


async def test_a_text_is_looked_for_downwards_from_what_is_seen_where_the_end_is_not_followed(
    console: Console, source: Any, settle: Any, screen_text: Any
) -> None:
    source.output = b"".join(b"step %d %s\n" % (n, b"loss" if n % 50 == 7 else b"ok") for n in range(400))
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: "step 399" in screen_text(console))
        await pilot.press("enter", "home", "slash", *"loss")
        await settle(pilot, lambda: "match 1 of 8: loss" in screen_text(console))
        assert "step 7 loss" in screen_text(console)
        await pilot.press("enter", "pagedown", "pagedown", "slash", *"loss")

        await settle(pilot, lambda: "match 2 of 8: loss" in screen_text(console))


async def test_a_text_that_is_not_there_is_said_and_moves_nothing(
    console: Console, settle: Any, screen_text: Any
) -> None:
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: "step 39" in screen_text(console))
        await pilot.press("enter", "slash", *"nowhere")
        await settle(pilot, lambda: "no line with nowhere" in screen_text(console))

        assert "step 39" in screen_text(console)


@pytest.mark.parametrize("is_pasted", [False, True])
async def test_what_is_typed_behind_a_second_slash_is_looked_for_alone(
    console: Console, settle: Any, screen_text: Any, is_pasted: bool
) -> None:
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.detail.output.count())
        await pilot.press("enter", "slash", *"step 1", "enter", "slash")
        if is_pasted:
            console.post_message(Paste("loss"))
        else:
            await pilot.press(*"loss")
        await settle(pilot, lambda: "of 40: loss" in screen_text(console))

        assert console.jobs.detail.output.search.text == "loss"


async def test_enter_behind_a_second_slash_goes_on_to_the_next_line_with_the_same_text(
    console: Console, settle: Any
) -> None:
    output = console.jobs.detail.output
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: output.count())
        await pilot.press("enter", "slash", *"step 1", "enter")
        rows = [output.stream.row]
        for _ in range(2):
            await pilot.press("slash", "enter")
            rows.append(output.stream.row)

        assert output.search.text == "step 1"
        assert rows == [19, 1, 10]


async def test_what_is_typed_in_one_burst_behind_the_slash_is_looked_for(console: Console, settle: Any) -> None:
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.detail.output.count())
        for key, character in (("enter", None), ("slash", "/"), ("s", "s"), ("t", "t"), ("n", "n")):
            console.post_message(Key(key, character))
        await settle(pilot, lambda: console.jobs.detail.output.search.text == "stn")

        assert not console.jobs.board.filter


async def test_a_long_line_is_folded_and_let_run_again(
    console: Console, source: Any, settle: Any, screen_text: Any
) -> None:
    source.output = b"short\n" + b"x" * 300 + b"END\n"
    async with console.run_test(size=(100, 40)) as pilot:
        await settle(pilot, lambda: "short" in screen_text(console))
        assert "END" not in screen_text(console)
        await pilot.press("enter", "w")
        await settle(pilot, lambda: "END" in screen_text(console))
        await pilot.press("w")
        await settle(pilot, lambda: "END" not in screen_text(console))


async def test_lines_that_came_are_dated_those_from_before_are_not(
    console: Console, source: Any, settle: Any, screen_text: Any
) -> None:
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: "step 39" in screen_text(console))
        output = console.jobs.detail.output
        output.stream.feed(b"fresh\n", 1.0)
        output.taken()
        await pilot.press("enter", "T")
        rows = [line for line in screen_text(console).splitlines() if "step 39" in line or "fresh" in line]

        assert [":" in row.split("│")[-1].split("fresh")[0] for row in rows] == [False, True]


async def test_what_was_passed_over_is_said_where_it_does_not_scroll_away(
    console: Console, source: Any, settle: Any, screen_text: Any
) -> None:
    source.notes = [{"kind": "skipped", "bytes": 3 * 2**20}, {"kind": "skipped", "bytes": 2**20}]
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: "4.0M skipped" in screen_text(console))


async def test_a_rule_stands_below_what_had_come(console: Console, settle: Any, screen_text: Any) -> None:
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: "step 39" in screen_text(console))
        await pilot.press("enter", "m")
        await settle(pilot, lambda: "── mark " in screen_text(console))


async def test_selected_output_is_copied_whole_also_what_the_pane_cuts_off(
    console: Console, source: Any, settle: Any, screen_text: Any, monkeypatch: Any
) -> None:
    copied: list[str] = []
    monkeypatch.setattr(console, "copy_to_clipboard", copied.append)
    source.output = b"first " + b"x" * 300 + b"END\nsecond\n"
    async with console.run_test(size=(100, 40)) as pilot:
        await settle(pilot, lambda: "second" in screen_text(console))
        await pilot.mouse_down("#output", offset=(1, 1))
        await pilot.hover("#output", offset=(4, 2))
        await pilot.mouse_up("#output", offset=(4, 2))
        await pilot.press("y")

        assert copied == ["first " + "x" * 300 + "END\nseco"]


async def test_the_output_is_saved_with_what_is_told_on_the_way(
    console: Console, source: Any, settle: Any, screen_text: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source.jobs["uuid-3"]["id"] = "8812"
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: "step 39" in screen_text(console))
        job = str(console.jobs.target.row["id"])  # type: ignore[union-attr]
        await pilot.press("S")
        await settle(pilot, lambda: f"Save stdout of {job}" in screen_text(console))
        await pilot.press("enter")
        await settle(pilot, lambda: any("saved 670B to" in each.message for each in console._notifications))

    assert [path.read_bytes() for path in tmp_path.iterdir()] == [source.output]


async def test_of_notices_of_a_kind_the_newest_alone_is_seen_and_hides_no_output(
    console: Console, settle: Any, screen_text: Any
) -> None:
    output = console.jobs.detail.output
    async with console.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot, lambda: output.count())
        for name in ("first", "second", "third"):
            console.jobs._saved(f"saved 670B to /home/alice/{name}")
            await settle(pilot, lambda name=name: f"alice/{name}" in screen_text(console))
        rows = screen_text(console).splitlines()
        assert [row.split("to ")[1] for row in rows if "saved" in row] == ["/home/alice/third"]
        assert "step 39" in rows[output.region.bottom - 1]
        assert "saved" in rows[output.region.bottom]

        await pilot.press("y", "y", "x")
        await settle(pilot, lambda: "copied: " in screen_text(console))
        assert "saved 670B" in screen_text(console)
        assert len(console._notifications) == 2


async def test_why_nothing_can_be_saved_is_read_in_whole(
    console: Console, settle: Any, screen_text: Any, tmp_path: Path
) -> None:
    path = tmp_path / ("there-is-no-such-directory-" * 4) / "x"
    async with console.run_test(size=(60, 20)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        await pilot.press("S")
        console.screen.query_one("#save-path", Input).value = str(path)
        await pilot.press("enter")
        await settle(pilot, lambda: "another place" in screen_text(console))

        status = console.screen.query_one(Status)
        told = "".join(text for row in range(status.count()) for text, _ in status.spans(row))
        assert str(path) in told.replace(" ", "")
        lines = status.count()
        assert status.size.height == lines
        await pilot.resize_terminal(140, 40)
        await settle(pilot, lambda: "No such file or directory; choose another place" in screen_text(console))
        await settle(pilot, lambda: status.size.height == status.count() < lines)


async def test_a_save_that_is_given_up_leaves_nothing_and_asks_no_more(
    console: Console, source: Any, settle: Any, screen_text: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source.is_endless = True
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: "step 39" in screen_text(console))
        await pilot.press("S")
        await settle(pilot, lambda: "Save stdout" in screen_text(console))
        await pilot.press("enter")
        await settle(pilot, lambda: "so far" in screen_text(console))
        assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
        await pilot.press("escape")
        await settle(pilot, lambda: "cat" not in source.open)

    assert list(tmp_path.iterdir()) == []


async def test_colours_of_the_output_are_seen_folded_and_found_through(
    console: Console, source: Any, settle: Any, screen_text: Any
) -> None:
    source.output = b"fine \x1b[31mfai\x1b[1mlure\x1b[0m \x1b]0;title\x07\n"
    async with console.run_test(size=(120, 40)) as pilot:
        await settle(pilot, lambda: "fine failure" in screen_text(console))
        output = console.jobs.detail.output

        assert output.spans(0)[1:] == [("fine ", "plain"), ("failure", "bad"), (" ␛]0;title␇", "plain")]

        output.find("e f")
        assert [text for text, style in output.spans(0) if style == "found"] == ["e ", "f"]
        console.jobs.detail.output.toggle_fold()
        assert tuple(style for text, style in output.spans(0) if text in ("f", "ailure")) == ("found", "bad")


async def test_of_a_job_that_ended_it_is_said_how_much_the_other_stream_has(
    console: Console, source: Any, settle: Any, screen_text: Any, make_record: Any
) -> None:
    source.jobs = {"uuid-1": make_record(1, state="ended", exit={"code": 3, "signal": None, "source": "wrap"})}
    source.other = 2048
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: "stderr 2.0K: o" in screen_text(console))
        await pilot.press("enter", "o")
        await settle(pilot, lambda: "stdout 2.0K: o" in screen_text(console))

        assert source.asked[-1] == ("output", {"stream": "stderr"})


async def test_the_output_of_a_job_that_ended_stands_there_once_however_often_it_is_hidden(
    console: Console, source: Any, settle: Any, screen_text: Any, make_record: Any
) -> None:
    source.jobs = {"uuid-1": make_record(1, state="ended", exit={"code": 3, "signal": None, "source": "wrap"})}
    source.output = b"last words\n"
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: "last words" in screen_text(console))
        asked = len(source.asked)
        await pilot.press("2")
        await settle(pilot, lambda: "last words" not in screen_text(console))
        await pilot.press("1")
        for _ in range(3):
            await settle(pilot, lambda: "last words" in screen_text(console))
        assert (
            screen_text(console).count("last words")
            == screen_text(console).count("── the job has ended with exit 3 ──")
            == 1
        )
        assert len(source.asked) == asked

        await pilot.press("R")
        await settle(pilot, lambda: len(source.asked) > asked and "last words" in screen_text(console))
        assert screen_text(console).count("last words") == 1


async def test_a_job_that_ends_under_the_eye_says_it_once_and_how_much_the_other_stream_has(
    console: Console, source: Any, settle: Any, screen_text: Any, make_record: Any
) -> None:
    source.jobs = {"uuid-1": make_record(1)}
    source.output = b"last words\n"
    source.notes = [{"kind": "ended", "exit": {"code": 3}}]
    source.other = 2048
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: "the job has ended with exit 3" in screen_text(console))
        assert "2.0K" not in screen_text(console)
        source.change(make_record(1, state="ended", exit={"code": 3, "signal": None, "source": "wrap"}))
        await settle(pilot, lambda: "stderr 2.0K: o" in screen_text(console))

        assert screen_text(console).count("the job has ended") == 1


@pytest.mark.parametrize("is_report_first", [False, True])
async def test_a_job_that_ends_under_the_eye_looks_as_it_does_when_one_comes_back_to_it(
    source: Any, settle: Any, screen_text: Any, make_record: Any, is_report_first: bool
) -> None:
    gate, status = asyncio.Event(), {"code": None, "signal": "KILL", "core": True, "source": "wrap"}
    source.jobs, source.other = {"uuid-1": make_record(1)}, 49

    async def tail(verb: str, arguments: dict[str, Any]) -> AsyncIterator[Frame]:
        yield frame(NOTE, {"kind": "at", "cursor": Cursor.at(1, 2, 100, b"").text()})
        yield frame(DATA, b"last words\n")
        await gate.wait()
        yield frame(NOTE, {"kind": "ended", "exit": status})

    source._answer = tail
    console = Console([("caf", source)])
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: "last words" in screen_text(console))
        output = console.jobs.detail.output
        for happens in (True, False) if is_report_first else (False, True):
            if happens:
                source.change(make_record(1, state="ended", exit=status))
                await settle(pilot, lambda: output.target.row["state"] == "ended")
            else:
                gate.set()
                await settle(pilot, lambda: output.stream.is_told)
        await settle(pilot, lambda: "stderr 49B: o" in screen_text(console))
        live = [output.stream.text(row) for row in range(output.count())]
        assert live == ["last words", "── the job has ended by signal KILL, core dumped ──"]

    again = Console([("caf", source)])
    async with again.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: "stderr 49B: o" in screen_text(again))
        output = again.jobs.detail.output

        assert [output.stream.text(row) for row in range(1, output.count())] == live


async def test_of_a_followed_file_of_a_job_that_ends_nothing_more_is_asked(
    console: Console, source: Any, settle: Any, screen_text: Any, make_record: Any
) -> None:
    source.jobs = {"uuid-1": make_record(1)}
    source.notes = [{"kind": "ended", "exit": {"code": 3}}]
    async with console.run_test(size=(140, 40)) as pilot:
        await settle(pilot, lambda: console.jobs.target)
        console.jobs.detail.output.choose("train.log")
        await settle(pilot, lambda: "the job has ended with exit 3" in screen_text(console))
        source.change(make_record(1, state="ended", exit={"code": 3, "signal": None, "source": "wrap"}))
        await settle(pilot, lambda: "ended 3" in screen_text(console))

        assert "nobody to ask" not in screen_text(console)

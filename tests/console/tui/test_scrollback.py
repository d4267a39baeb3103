"""The scrollback keeps the lines of a stream, however its bytes are cut, and no more than it may."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jobmon_console.nuls import Nuls
from jobmon_console.tui.panes.scrollback import KEPT, LONGEST, SLACK, Scrollback


@given(st.lists(st.binary(max_size=30)), st.integers(1, 7))
def test_lines_do_not_depend_on_how_the_stream_was_cut(parts: list[bytes], step: int) -> None:
    stream = b"\n".join(parts)
    buffer = Scrollback()
    for at in range(0, len(stream), step):
        buffer.feed(stream[at : at + step])
    buffer.note("the end")  # a run of NULs may go on until then

    nuls = Nuls()
    lines = (nuls.feed(stream) + nuls.close()).split(b"\n")
    expected = lines[:-1] if lines[-1] == b"" else lines

    assert [row.data.rstrip(b"\r") for row in buffer.rows[:-1]] == [at_last(line) for line in expected]


RETURNS = st.lists(st.sampled_from([b"\r", b"a", b"bc", b"\n", b"x" * (LONGEST + 9)]), max_size=12).map(b"".join)


@given(RETURNS, st.integers(1, 5))
def test_of_a_line_that_goes_back_the_last_text_stays_however_its_bytes_are_cut(stream: bytes, step: int) -> None:
    one, many = Scrollback(), Scrollback()
    one.feed(stream)
    size = step if len(stream) < LONGEST else LONGEST // step
    for at in range(0, len(stream), size):
        many.feed(stream[at : at + size])
    for buffer in (one, many):
        buffer.note("the end")

    facts = [[(row.data.rstrip(b"\r"), row.hidden, row.over) for row in buffer.rows[:-1]] for buffer in (one, many)]
    assert facts[0] == facts[1]
    for line, (data, hidden, over) in zip(stream.split(b"\n"), facts[0], strict=False):
        assert data == at_last(line)[:LONGEST]
        assert len(data) + hidden + over in range(len(line) - line.count(b"\r"), len(line) + 1)


def test_a_bar_of_progress_is_what_it_is_now() -> None:
    buffer = Scrollback()
    for percent in range(101):
        buffer.feed(b"\r%3d%%" % percent)
    assert [(row.data, row.over) for row in buffer.rows] == [(b"100%", 400)]
    buffer.feed(b"\ndone\r\n")

    assert [row.data for row in buffer.rows] == [b"100%", b"done\r"]
    assert sum(row.size for row in buffer.rows) == buffer.bytes


def at_last(line: bytes) -> bytes:
    """What a terminal shows of it, where each text is at least as long as the one before."""
    return line.rstrip(b"\r").rpartition(b"\r")[2]


def test_a_long_run_of_nuls_is_a_few_words() -> None:
    buffer = Scrollback()
    buffer.feed(b"a" + bytes(6000))
    buffer.feed(bytes(4001) + b"b\n")

    assert [row.data for row in buffer.rows] == [b"a[10001 NUL bytes]b"]


def test_a_note_ends_the_line_before_it() -> None:
    buffer = Scrollback()
    buffer.feed(b"half")
    buffer.note("rotated")
    buffer.feed(b"new\n")

    assert [(row.data, row.is_note) for row in buffer.rows] == [(b"half", False), (b"rotated", True), (b"new", False)]


def test_the_oldest_lines_are_dropped_and_counted() -> None:
    buffer = Scrollback()

    dropped = buffer.feed(b"x\n" * (KEPT + SLACK + 1))

    assert len(buffer.rows) == KEPT
    assert dropped == SLACK + 1


def test_a_line_without_end_is_cut_and_its_rest_counted() -> None:
    buffer = Scrollback()
    for _ in range(100):
        buffer.feed(b"y" * 1000)

    assert len(buffer.rows[0].data) == LONGEST
    assert buffer.rows[0].hidden == 100_000 - LONGEST


FED = st.lists(
    st.binary(max_size=12).map(lambda text: text.translate(None, b"\0"))  # bytes
    | st.integers(1, 9)  # that were skipped
    | st.just("mark")  # a line of the console's own
    | st.just(None),  # another file begins
    max_size=12,
)


@given(FED, st.integers(0, 50))
def test_a_byte_of_the_file_is_found_in_the_row_that_has_it(fed: list[Any], begins: int) -> None:
    buffer = Scrollback()
    buffer.begin(begins)
    where: dict[int, tuple[str, str]] = {}  # bytes of the file, by their place: what they are, and of what line
    end, line = begins, 0
    for each in fed:
        if each is None:
            buffer.close()
            buffer.begin(begins)
            where, end, line = {}, begins, line + 1
        elif isinstance(each, bytes):
            buffer.feed(each)
            for byte in each:
                where[end] = ("here", str(line))
                end, line = end + 1, line + (byte == 10)
        else:
            buffer.note(str(each), each if isinstance(each, int) else 0)
            line += 1
            for _ in range(each if isinstance(each, int) else 0):
                where[end] = ("skipped", str(line))
                end += 1
            line += 1

    found = {offset: buffer.find(offset) for offset in range(end)}
    assert buffer.end == end
    assert [offset for offset in range(end) if found[offset][1]] == [
        offset for offset, (what, _) in where.items() if what == "here"
    ]
    rows: dict[str, set[int]] = {}
    for offset, (_, name) in where.items():
        rows.setdefault(name, set()).add(found[offset][0])
    assert all(len(each) == 1 for each in rows.values())
    assert len({row for each in rows.values() for row in each}) == len(rows)

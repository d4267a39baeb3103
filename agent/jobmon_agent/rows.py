"""Long lists as records that fit a frame."""

from jobmon_wire import frames, limits
from jobmon_wire.documents import write_document

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, Iterator, List, Tuple


def records(key: str, rows: "Iterable[Dict[str, Any]]", **beside: "Any") -> "Iterator[Tuple[int, Dict[str, Any]]]":
    """RECORDs that hold the rows at ``key``, in order; one with an empty list when there are none.

    Args:
        key: what the list is called.
        rows: each, with what stands beside it, below a frame's payload.
        beside: what every record says besides.
    """
    room = limits.FRAME_PAYLOAD - len(write_document(dict(beside, **{key: []})))
    waiting: "List[Dict[str, Any]]" = []
    length, is_first = 0, True
    for row in rows:
        size = len(write_document(row)) + 1
        if waiting and length + size > room:
            yield frames.RECORD, dict(beside, **{key: waiting})
            waiting, length, is_first = [], 0, False
        waiting.append(row)
        length += size
    if waiting or is_first:
        yield frames.RECORD, dict(beside, **{key: waiting})

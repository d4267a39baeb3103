"""The verbs `head` and `cat`: the job's output and files of its sandbox, from the start or from anywhere."""

from jobmon_agent import patterns
from jobmon_agent.job import Job, VerbFailure
from jobmon_agent.source import Source, open_source
from jobmon_wire import frames, limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List, Tuple, Union

    Answer = Iterator[Tuple[int, Union[bytes, Dict[str, Any]]]]
    Reader = Callable[[Job, Dict[str, Any]], Answer]

LINE_BYTES = limits.TAIL_BYTES  # of one line; a hole of terabytes is one line


def head(job: Job, arguments: "Dict[str, Any]") -> "Answer":
    """Yield the first lines, or bytes, as DATA."""
    with open_source(job, arguments["file"]) as source:
        if arguments["bytes"] is not None:
            yield from _range(source, 0, arguments["bytes"])
        elif arguments["lines"]:
            yield from _lines(source, arguments["lines"])


def cat(job: Job, arguments: "Dict[str, Any]") -> "Answer":
    """Yield a file, or a range of it, as DATA: all there was when it began and was read to its end."""
    with open_source(job, arguments["file"]) as source:
        length = limits.INTEGER if arguments["length"] is None else arguments["length"]
        yield from _range(source, arguments["offset"], arguments["offset"] + length)


def of_each(read: "Reader") -> "Reader":
    """The verb for patterns too: with a NOTE ``file`` before the bytes of each file, where there are several."""

    def read_each(job: Job, arguments: "Dict[str, Any]") -> "Answer":
        found = patterns.expand(job, arguments["file"])
        if len(found.paths) == 1:
            answer = read(job, dict(arguments, file=found.paths[0]))
            yield from answer if found.pattern is None else _named(found.paths[0], answer)
            yield from found.conclude([])
            return
        if arguments.get("follow"):
            what = "%s matches %d" % (found.pattern, len(found.paths))
            raise VerbFailure("bad-request", "only one file can be followed, and %s; name one" % what)
        failures: "List[VerbFailure]" = []
        for path in found.paths:
            try:
                yield from _headed(path, read(job, dict(arguments, file=path)))
            except VerbFailure as failure:
                failures.append(failure)
        yield from found.conclude(failures)

    return read_each


def _headed(path: str, answer: "Answer") -> "Answer":
    """The answer behind its NOTE, which comes also before no bytes but not before a refusal."""
    first = next(answer, None)
    yield frames.NOTE, {"kind": "file", "name": path}
    if first is not None:
        yield first
    yield from answer


def _named(path: str, answer: "Answer") -> "Answer":
    """The answer with the file's name in its NOTE ``at``: after a rotation the pattern matches the old one, too."""
    for type_, payload in answer:
        if type_ == frames.NOTE and isinstance(payload, dict) and payload["kind"] == "at":
            payload = dict(payload, file=path)
        yield type_, payload


def _range(source: Source, start: int, end: int) -> "Answer":
    """The bytes from one position to another, as far as the file goes now."""
    size, at = source.size(), start
    # A second round for what was written meanwhile, no third: a job may write for ever.
    for _ in range(2):
        for data in source.blocks(at, min(end, source.size())):
            yield frames.DATA, data
            at += len(data)
    if at < min(end, size):  # it was truncated meanwhile
        yield frames.NOTE, {"kind": "cut", "bytes": at - start, "size": size}


def _lines(source: Source, lines: int) -> "Answer":
    """The first lines; less where one is longer than ``LINE_BYTES``."""
    sent = line = 0  # bytes of the answer, and of the line that has not ended
    for data in source.blocks(0, limits.INTEGER):
        end = _end_of_lines(data, lines)
        yield frames.DATA, data[:end]
        sent += end
        lines -= data.count(b"\n", 0, end)
        if not lines:
            return
        line = len(data) - 1 - data.rindex(b"\n") if b"\n" in data else line + len(data)
        if line >= LINE_BYTES:
            yield frames.NOTE, {"kind": "cut", "bytes": sent, "size": source.size()}
            return


def _end_of_lines(data: bytes, lines: int) -> int:
    """Where in the data so many lines end; its length where it holds fewer."""
    if data.count(b"\n") < lines:
        return len(data)
    end = 0
    for _ in range(lines):
        end = data.index(b"\n", end) + 1
    return end

"""The streams that were read last, so that coming back to one finds its lines and its place.

Those of the job that is shown are whole, of other jobs' only the end is kept.
Nothing here asks or draws.
"""

from collections.abc import Iterator

from jobmon_console.tui.panes.stream import Stream

FILES = 4  # of the job that is shown, stdout and stderr among them; each may hold 12,000 lines, and a part as many
AWAY = 8  # streams of other jobs: going through a few jobs and back
AWAY_LINES = 1000  # of each of those: some screens, and 32 MiB in all where every line is as long as one may be


class Streams:
    """Streams by job and file, the one shown last is the last."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Stream] = {}  # by uuid and file

    def get(self, uuid: str, file: str, is_alive: bool) -> Stream | None:
        """What was read of it; nothing, where the job had ended and runs again."""
        found = self._kept.get((uuid, file))
        return None if found is None or (found.followed.is_told and is_alive) else found

    def put(self, uuid: str, stream: Stream) -> None:
        """It is shown now; those that were shown longest ago make room."""
        self._kept.pop((uuid, stream.file), None)
        self._kept[uuid, stream.file] = stream
        own = [key for key in self._kept if key[0] == uuid]
        others = [key for key in self._kept if key[0] != uuid]
        for key in (*own[:-FILES], *others[:-AWAY]):
            del self._kept[key]

    def leave(self, uuid: str) -> None:
        """Another job is shown from now on."""
        for key, stream in self._kept.items():
            if key[0] == uuid:
                self._kept[key] = stream.followed  # a part of a file comes again in one go
                stream.followed.shorten(AWAY_LINES)

    def forget(self, uuid: str) -> None:
        """The job runs anew."""
        self._kept = {key: stream for key, stream in self._kept.items() if key[0] != uuid}

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Uuids and files."""
        return iter(self._kept)

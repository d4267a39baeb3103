"""A lull: beats that say what the last said, and answers that are known before they come.

This is what an agent does nearly all its life.  After 25 s nothing of it is
left in the processor's caches, so that a beat costs what it touches, of code
and of memory, and hardly what it computes: here that is half of what ``Beats``
touches, which knows all that may happen.  An answer that says nothing new is
known by its bytes; with any other the lull is over.
"""

import time
from _operator import _compare_digest as _equal

from jobmon_wire.datagrams import ACK, BEAT, LONGEST, write_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, List, Optional, Tuple

    from jobmon_wire.datagrams import Ends

JITTER = 0.1  # of the interval, either way: agents that started together drift apart
DOUBT = 0.5  # of the interval, until the second beat when the first is not answered
# Beats that say what the last one said, before the job is looked at again: a look costs as much as one.  A job that
# sleeps is likely to sleep on.
AS_BEFORE, AS_STILL = 1, 3
_MS = 1000  # in a second


class Lull:
    """What goes on as it went, and how far it has come.

    Args:
        ends: of the session; its numbers go on here.
        socket: connected with the server.
        answer: body of the answer that says nothing new.
        interval: s between beats.
    """

    def __init__(self, ends: "Ends", socket: "Any", answer: bytes, interval: float) -> None:
        self._ends, self._socket, self._answer = ends, socket, answer
        self._shortest = interval * _MS * (1 - JITTER)
        self._step = interval * _MS * JITTER * 2 / 255
        self.datagram = b""  # what came in place of the answer
        self.is_waiting = False  # for the answer to the last beat
        self.pause = 0  # ms from the last beat to the next
        self.sent_at = 0.0  # moment of the last beat by the monotonic clock; 0: there was none

    def last(
        self,
        poll: "Callable[[int], List[Any]]",
        bell: "List[Any]",
        pause: int,
        look: "Callable[[], Optional[Tuple[bytes, int]]]",
    ) -> "List[Any]":
        """Beat and take answers until something else happens.

        One function, and all in its own variables: each call and each attribute would be one more thing to
        fetch from memory.

        Args:
            poll: waits so many ms, for the socket and whatever else ends the lull.
            bell: what it gives when the socket alone is readable.
            pause: ms until the next beat.
            look: what the next beat says, and how many after it; None ends the lull.

        Returns:
            What ``poll`` gave last, but for what was read.
        """
        ends, send, receive = self._ends, self._socket.send, self._socket.recv
        beats, answers, counter, heard = ends.own_series(BEAT), ends.other_series(ACK), ends.counter, ends.highest
        own, start, other, other_start = beats.tag, beats.start, answers.tag, answers.start
        answer, shortest, step, now, write = self._answer, self._shortest, self._step, time.monotonic, write_number
        regular, sent_at, waits, left = 0, 0.0, False, 0
        said = expected = b""
        ready: "List[Any]"
        while True:
            ready = poll(pause)
            if ready == bell:
                ready = []
                try:
                    datagram = receive(LONGEST + 1)
                except OSError:  # the server's kernel says that nobody listens there
                    break
                if not waits or not _equal(datagram, expected):
                    self.datagram = datagram
                    break
                heard += 1
                waits, pause = False, regular
                continue
            if ready or waits:
                break
            if left:
                left -= 1
            else:
                news = look()
                if news is None:
                    break
                said, left = news
            counter += 1
            content = start + write(counter) + said
            tag = own.copy()
            tag.update(content)
            datagram = content + tag.digest()
            content = other_start + write(heard + 1) + answer
            tag = other.copy()
            tag.update(content)
            expected = content + tag.digest()
            regular = int(shortest + step * datagram[-1])  # a tag's last byte is as good as random
            sent_at, waits, pause = now(), True, int(regular * DOUBT)
            try:
                send(datagram)
            except OSError:  # no way there, or nobody listens there: it counts as unanswered
                pass
        ends.counter = counter
        ends.take_to(heard)
        self.pause, self.sent_at, self.is_waiting = regular, sent_at, waits
        return ready

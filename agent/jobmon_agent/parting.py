"""What the idle process and its worker agree on: how a worker ends, and how long the agent outlives its job.

Small and without imports of its own: the idle process must stay small.
"""

LINGER = 30.0  # s after the job's end in which its report is still tried: a server's restart takes less, and
# a batch slot or a node's cleaning up shall not wait longer for a server that is gone.

BRIEF = 2.0  # s without a request after which a worker asks to leave that was started to tell of progress alone

REPORTED = 0  # exit status of a worker: the server has the end report
GAVE_UP = 3  # exit status of a worker: the end report was tried for long enough
LEFT = 4  # exit status of a worker: nobody asks, and the server can ring

# What either tells the waiter of wrap mode, which dies as the job died, and may take the agent along.
BUSY, DONE = b"busy", b"done"

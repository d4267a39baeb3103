"""What the idle process and its worker agree on about the agent's end.

Numbers alone: the idle process must stay small.
"""

END_PATIENCE = 300.0  # s after the job's end in which its report is still tried: longer than a server's restart,
# short enough not to keep a batch slot or its clean-up waiting for a server that is gone.

REPORTED = 0  # exit status of a worker: the server has the end report
GAVE_UP = 3  # exit status of a worker: the end report was tried for long enough

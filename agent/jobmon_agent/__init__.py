"""The agent: watches one batch job from beside it and answers its owner's questions.

Standard library alone, Python 3.6 and up; it travels inside ``jobmond.pyz``.
``launch`` becomes the job after forking the agent off (or waits for the job
where the kernel cannot tell how it ended); ``idle`` is the small process that
stays; ``worker`` is forked from it and has TLS; a ``performer`` is forked from
that for every request.  Killing any of them never changes the job.
"""

VERSION = "0.1.0"

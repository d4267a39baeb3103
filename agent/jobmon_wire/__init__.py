"""The language that agent, server and console speak.

Standard library alone, Python 3.6 and up: this package travels to the worker
nodes inside ``jobmond.pyz``.  It holds shapes, limits and tables; it opens no
socket and reads no clock.  The prose of it is ``docs/protocol.md``.
"""

__all__ = ["PROTOCOL"]

PROTOCOL = 1  # raised when an older peer could misread a newer one

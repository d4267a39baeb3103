"""What people and their scripts see of JobMon: library, command line, console.

``client`` is the library for scripts (async), ``session`` what the command
line uses, ``tui`` the full-screen console.  Importing this package costs
nothing; each module imports what it needs when it is needed.
"""

__version__ = "0.1.0"

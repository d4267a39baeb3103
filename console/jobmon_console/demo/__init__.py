"""The demo: a throw-away site on this machine, made of the real commands.

``main`` is the front that a person or a script talks to; everything else runs
under a keeper process that outlives the front just long enough to clean up.
"""

from jobmon_console.demo.front import main

__all__ = ["main"]

"""The connection holder: keeps what a command needs to start, so that the next one need not wait for it.

As ssh's ControlMaster does: a process of the user's own, started by a command
that went well, with the modules loaded, the key unlocked and one connection to
the server open.  A command hands its words, environment and standard streams
to it over a private socket; a child of the holder carries it out.  ``holding``
is where it is found, ``start`` makes one, ``keeper`` is the holder, ``line``
its connection, ``worker`` the child.  A command that finds none, or one that is
not for it, does all of that itself.
"""

"""The command line: ``jobmon``.

``parser`` holds the tree of commands, ``main`` runs one and turns errors into
exit statuses, ``reach`` finds contexts and jobs, ``screen`` and ``table`` print.
Each other module is one command, with ``add_arguments(parser)`` and
``run(arguments) -> int``; it is imported when its command is used.
"""

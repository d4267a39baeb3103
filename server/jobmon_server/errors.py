"""The root of this package's errors; the tree is drawn in the package's docstring."""

from jobmon_wire.answers import FAILED


class ServerError(Exception):
    """Why the server cannot start, or a check failed: one sentence for the operator."""

    exit_status = FAILED

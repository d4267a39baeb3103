"""The root of this package's errors; the tree is drawn in the package's docstring."""


class ServerError(Exception):
    """Why the server cannot start, or a check failed: one sentence for the operator."""

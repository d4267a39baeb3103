"""The root of this package's errors; the tree is drawn in the package's docstring."""


class PkiError(Exception):
    """Anything that JobMon's certificates part raises on purpose: one sentence."""

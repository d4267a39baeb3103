"""The full-screen console, on Textual.  Everything beside this package works without it."""

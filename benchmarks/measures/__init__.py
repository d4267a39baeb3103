"""What ``benchmarks/server.py`` measures: one module for each kind of figure, each with its limit beside it."""

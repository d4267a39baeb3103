"""``jobmon pki``: hand over to the certificates' command line."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None here: ``jobmon_pki.cli`` reads its own."""


def run(arguments: argparse.Namespace) -> int:
    """Run it; where its extra is missing, ``main`` says so."""
    from jobmon_pki.cli import main

    return main(arguments.rest)

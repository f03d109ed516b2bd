"""The command: parse, call, print."""

from neuronym.cli.root import main

__all__ = ["main"]

"""The command line: each command parses its options, calls one function and prints the result."""

from neuronym.cli.root import main

__all__ = ["main"]

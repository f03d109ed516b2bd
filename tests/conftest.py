import sys

import pytest
from hypothesis import settings

from neuronym.cli import root as cli

settings.register_profile("neuronym", deadline=None)
settings.load_profile("neuronym")


@pytest.fixture
def command(monkeypatch, capsys):
    """Run the command with arguments; its exit code, and what it printed to standard output and error."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["neuronym", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        shown = capsys.readouterr()
        return stopped.value.code, shown.out, shown.err

    return call

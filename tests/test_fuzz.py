"""Damaged files of every kind: read and used, or refused by one of our errors, within seconds and bounded memory."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FAST, SLOW = 60, 366  # damaged files of each kind


def fuzzed(*arguments):
    """Run the fuzzer in a process of its own, which a crash or a hang ends; what it printed, and its summary."""
    path = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, HERE / "fuzz.py", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    wrong = re.findall(r"^WRONG (\S+) (\S+)$", done.stdout, re.MULTILINE)
    last = done.stdout.splitlines()[-1:] or [""]
    found = "; ".join(f"python tests/fuzz.py {name} {number}" for name, number in wrong[:5])
    assert not wrong, f"{len(wrong)} wrong: {found}\n{done.stdout[-3000:]}"
    assert not done.returncode, f"crashed or hung at: {last[0]}\n{done.stderr[-3000:]}"
    print(done.stdout[done.stdout.index("DONE") :])
    return int(re.search(r"^DONE (\d+) files", done.stdout, re.MULTILINE)[1])


def test_damaged_files_are_read_or_refused():
    assert fuzzed(0, FAST) > 2000


@pytest.mark.slow
def test_15_000_damaged_files_are_read_or_refused():
    assert fuzzed(0, SLOW) > 15_000


@pytest.mark.slow
def test_damaged_files_given_to_the_command_are_read_or_refused():
    assert fuzzed("command", 0, 6) > 200

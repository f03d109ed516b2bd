"""The most memory that a part of the work takes."""

import math
import sys

import numpy as np
import pytest

from neuronym._util import memory
from neuronym._util.memory import peak


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what a process held at most")
def test_what_is_held_for_a_moment_counts():
    with peak() as large:
        np.ones(12_500_000).sum()
    with peak() as small:
        np.ones(1000).sum()
    # Of 100 MB; a kernel may take pages back while they are held, and counts by lots of pages.
    assert 30 < large.megabytes < 150
    assert small.megabytes < large.megabytes / 2


def test_another_system_says_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_PROCESS", tmp_path / "none")
    with peak() as found:
        pass
    assert math.isnan(found.megabytes)

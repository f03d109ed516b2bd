"""Make the pictures of plots.md by the code that stands above each: python docs/pictures.py."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import numpy as np

PAGE = Path(__file__).with_name("plots.md")

# Code, what it prints, and the picture of its axes where one follows.
_BLOCK = re.compile(r"```python\n(.*?)```\s+```text\n.*?```(?:\s+!\[[^]]*\]\((\S+\.png)\))?", re.DOTALL)


def draw(page: str, folder: Path) -> list[str]:
    """Run the blocks of a page in turn and save ``axes`` under the name of each picture; the names."""
    shared: dict[str, Any] = {}
    drawn = []
    for code, name in _BLOCK.findall(page):
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(code, PAGE.name, "exec"), shared)
        if name:
            figure = np.ravel(shared["axes"])[0].figure
            figure.savefig(folder / name, dpi=160, metadata={"Software": None})
            drawn.append(name)
    return drawn


if __name__ == "__main__":
    print(*draw(PAGE.read_text(encoding="utf-8"), PAGE.parent), sep="\n")

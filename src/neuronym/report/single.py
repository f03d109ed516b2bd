"""A report in one file, for places that show a page but not the files beside it, such as a frame in JupyterLab."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

__all__ = ["join_files"]

_PICTURES = ("thumbs", "photos")
_FOLDERS = ("assets", "data", *_PICTURES)
_INDEX = "data/index.js"  # the last script of the page
_SCRIPT = re.compile(r'<script src="([^"]+)"></script>')
_STYLE = re.compile(r'<link rel="stylesheet" href="([^"]+)">')
_SOURCES = re.compile(r"script-src [^;\"]+")


def join_files(folder: Path, libraries: Sequence[str]) -> None:
    """Put the scripts, style, data and thumbnails of a report into its ``index.html``, and remove their files.

    Pieces of data stand before the index, whose script starts the page. Only scripts of these contents may run.

    Parameters
    ----------
    folder : Path
        The folder of the report.
    libraries : sequence of str
        The scripts that the page loads later, by their paths in the folder: here they come with it.
    """
    page = (folder / "index.html").read_text(encoding="utf-8")
    hashes: list[str] = []

    def script(text: str) -> str:
        hashes.append(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'")
        return f"<script>{text}</script>"

    def scripts(found: re.Match[str]) -> str:
        if found[1] != _INDEX:
            return script((folder / found[1]).read_text(encoding="utf-8"))
        texts = [(folder / path).read_text(encoding="utf-8") for path in libraries]
        return "".join(map(script, [*texts, _data(folder, libraries)]))

    def style(found: re.Match[str]) -> str:
        return f"<style>{(folder / found[1]).read_text(encoding='utf-8')}</style>"

    page = _STYLE.sub(style, _SCRIPT.sub(scripts, page))
    page = _SOURCES.sub(lambda _: f"script-src {' '.join(hashes)}", page, count=1)
    (folder / "index.html").write_text(page, encoding="utf-8", newline="\n")
    for name in _FOLDERS:
        shutil.rmtree(folder / name, ignore_errors=True)


def _data(folder: Path, libraries: Sequence[str]) -> str:
    """The script of all data: pictures by their addresses, the pieces, and the index, which starts the page."""
    joined = dict.fromkeys(libraries, "") | {
        f"{kind}/{path.name}": f"data:image/jpeg;base64,{base64.b64encode(path.read_bytes()).decode()}"
        for kind in _PICTURES
        for path in sorted((folder / kind).glob("*.jpg"))
    }
    pieces = [path for path in sorted((folder / "data").rglob("*.js")) if path != folder / _INDEX]
    texts = [path.read_text(encoding="ascii").replace("<", "\\u003c") for path in (*pieces, folder / _INDEX)]
    return "".join([f"h.files = {json.dumps(joined)};\n", *texts])  # only texts in the data contain <

"""What was counted of some photos, kept in files until all are counted, so that a run can be resumed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from neuronym import __version__
from neuronym._util.files import writing
from neuronym.analysis.dissect.pixels import Counted
from neuronym.data.masks import Masks
from neuronym.errors import FileError
from neuronym.types import PathLike

__all__ = ["Parts"]

_OWN = re.compile(r"dissection-[0-9a-f]{32}-\d+\.npz")
_DRAWN = 3  # photos whose masks show whether masks are the same


class Parts:
    """A folder with a file for each part of the photos that is counted.

    Parameters
    ----------
    folder : str or Path
        The folder; it is made if it does not exist.
    masks : Masks
        Which concepts each pixel shows; of some photos, what is drawn is compared too.
    settings : sequence of object
        All else that counts depend on: plain values and arrays. What was counted with others is not used, and left.

    Raises
    ------
    FileError
        If the folder cannot be made, or is a file.
    """

    def __init__(self, folder: PathLike, masks: Masks, settings: Sequence[Any]) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise FileError(f"cannot make the folder {str(folder)!r} to resume from: {error.strerror}") from error
        found = hashlib.blake2b(repr((__version__, masks.names, masks.sample_ids)).encode(), digest_size=16)
        for sample in np.linspace(0, masks.n_samples - 1, _DRAWN).astype(int).tolist():
            drawn = masks.regions(sample)
            found.update(repr((drawn.numbers.shape, drawn.concepts)).encode())
            found.update(np.ascontiguousarray(drawn.numbers).data)
        for one in settings:
            found.update(np.ascontiguousarray(one).data if isinstance(one, np.ndarray) else repr(one).encode())
        self._key = found.hexdigest()

    def resumed(
        self, tasks: Sequence[tuple[Any, ...]], run: Callable[[Sequence[tuple[Any, ...]]], Iterator[Counted]]
    ) -> Iterator[Counted]:
        """Yield what is counted of each part, in order: from its file, or by running its task, which is kept.

        Parameters
        ----------
        tasks : sequence of tuple
            The arguments of each part.
        run : callable
            Counts the parts of these tasks, in order.

        Yields
        ------
        Counted
            Of each part.
        """
        known = {number: part for number in range(len(tasks)) if (part := self._read(number)) is not None}
        fresh = run([task for number, task in enumerate(tasks) if number not in known])
        for number in range(len(tasks)):
            if number in known:
                yield known.pop(number)
                continue
            counted = next(fresh)
            self._write(number, counted)
            yield counted

    def delete(self) -> None:
        """Delete the files of this run, and the folder if nothing else is in it."""
        for path in self.folder.glob(f"dissection-{self._key}-*.npz"):
            if _OWN.fullmatch(path.name):
                path.unlink(missing_ok=True)
        with suppress(OSError):  # what others keep there stays
            self.folder.rmdir()

    def _path(self, number: int) -> Path:
        return self.folder / f"dissection-{self._key}-{number}.npz"

    def _write(self, number: int, counted: Counted) -> None:
        about = {
            "sets": [[held, list(concepts)] for held, concepts in counted.sets],
            "void": counted.void,
            "shown": counted.shown,
            "reshaped": counted.reshaped,
        }
        arrays = {f"above_{k}": above for k, above in enumerate(counted.above)}
        with writing(self._path(number), overwrite=True) as temporary, open(temporary, "wb") as file:
            np.savez(file, allow_pickle=False, about=np.array(json.dumps(about)), n_pixels=counted.n_pixels, **arrays)

    def _read(self, number: int) -> Counted | None:
        """What is kept of a part; None if nothing is, or it is damaged, so that it is counted again."""
        try:
            with open(self._path(number), "rb") as opened, np.load(opened, allow_pickle=False) as file:
                about = json.loads(str(file["about"]))
                above = [file[f"above_{k}"] for k in range(sum(name.startswith("above_") for name in file.files))]
                sets = {(bool(held), tuple(concepts)): k for k, (held, concepts) in enumerate(about["sets"])}
                n_pixels = file["n_pixels"]
        except Exception:  # of whatever kind: there is none, or it is not what was written, so it is counted again
            return None
        if any(one.shape[-1:] != (len(sets),) or one.dtype != np.int64 for one in (n_pixels, *above)):
            return None
        return Counted(sets, n_pixels, above, int(about["void"]), about["shown"], int(about["reshaped"]))

"""Checking whole stores of activations."""

from __future__ import annotations

from neuronym._util.files import kind_of, reading
from neuronym._util.urls import located
from neuronym.data.store_files import ROOT, Checked, StoreFiles, damaged, read_root
from neuronym.errors import FileError
from neuronym.io.zarr_store import SUFFIX, how_much, state_of
from neuronym.types import PathLike

__all__ = ["check"]


def check(store: PathLike, *, progress: bool = False) -> Checked:
    """Check a Zarr store of activations: whether every file is there, and as it was written.

    Opening a store checks that its files exist and have their sizes, and reading checks what is read; this reads all.

    Parameters
    ----------
    store : str or Path
        The store, ``.zarr``, or its URL.
    progress : bool, default False
        Show a progress bar on standard error.

    Returns
    -------
    Checked
        What was checked, and what is wrong.

    Raises
    ------
    FileError
        If there is no such store, or neuronym did not write it.
    """
    kind_of(store, (SUFFIX,), "a store of activations")
    path = located(store)
    with reading(path, "activations"):
        if not path.is_dir():
            raise FileError(f"there is no folder {str(store)!r}")
        if not (path / ROOT).is_file():
            return Checked(0, 0, [str(damaged(path / ROOT, "it is missing"))], False)
    try:
        made = read_root(path)
        state = None if made is None else state_of(made, path)
    except FileError as error:
        return Checked(1, (path / ROOT).stat().st_size, [str(error)], False)
    if state is None:
        raise FileError(f"{str(store)!r} was not written by neuronym, so there is nothing to check it by")
    if not state["complete"]:
        return Checked(1, (path / ROOT).stat().st_size, [f"{str(store)!r} is incomplete: {how_much(state)}"], False)
    return StoreFiles.of_state(path, state).read_all(progress)

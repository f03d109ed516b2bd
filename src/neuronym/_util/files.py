"""Reading and writing with one clear error; a file is complete or absent."""

from __future__ import annotations

import csv
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from neuronym.errors import FileError, InputError

__all__ = ["check_target", "first_line", "kind_of", "make_folder", "read_json", "reading", "writing"]


def kind_of(path: str | Path, kinds: Sequence[str], what: str) -> str:
    """The ending of a file's name, in lower case, one of ``kinds``.

    Raises
    ------
    FileError
        If it is another.
    """
    kind = Path(path).suffix.lower()
    if kind not in kinds:
        raise FileError(
            f"cannot tell the kind of {str(path)!r}: the name of a file of {what} must end in {' or '.join(kinds)}"
        )
    return kind


@contextmanager
def reading(path: str | Path, what: str, *foreign: type[Exception]) -> Iterator[None]:
    """Turn what a reader raises on a file that is missing or broken into a ``FileError`` that names the file.

    Only calls of the reader belong inside, and what it gives is checked outside: a bug of ours must not read as a
    broken file.

    Parameters
    ----------
    path : str or Path
    what : str
        What the file is to hold, for messages.
    *foreign : types of Exception
        What the reader raises beside ``OSError``, ``EOFError``, ``UnicodeDecodeError`` and ``csv.Error``.

    Raises
    ------
    FileError
        If the file is empty, or one of these is raised inside.
    """
    known: tuple[type[Exception], ...] = (OSError, EOFError, csv.Error, *foreign)
    if "\0" in str(path):
        raise FileError(f"cannot read {what}: a path cannot hold the NUL character of {str(path)!r}")
    try:
        if Path(path).is_file() and not Path(path).stat().st_size:
            raise FileError(f"cannot read {what} from {str(path)!r}: the file is empty")
        yield
    except (InputError, MemoryError):
        raise
    except FileNotFoundError:
        raise FileError(f"cannot read {what}: there is no file {str(path)!r}") from None
    except UnicodeDecodeError as error:
        raise FileError(f"cannot read {what} from {str(path)!r}: it is no text in UTF-8 ({error})") from error
    except known as error:
        why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else first_line(error)
        raise FileError(f"cannot read {what} from {str(path)!r}: {why}") from error


def read_json(path: str | Path, what: str) -> Any:
    """The contents of a JSON file, of any shape.

    Raises
    ------
    FileError
        If it cannot be read or is no JSON.
    """
    # Beside errors of syntax, numbers of too many digits and brackets that are too deep.
    with reading(path, what, ValueError, RecursionError), open(path, encoding="utf-8") as file:
        return json.load(file)


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def check_target(path: str | Path, overwrite: bool) -> Path:
    """The place to write to, which has a folder and is free, or may be overwritten.

    Raises
    ------
    FileError
        If the folder is missing, or something is in the way.
    """
    target = Path(os.path.realpath(path))
    try:
        if not target.parent.is_dir():
            raise FileError(f"cannot write {str(path)!r}: there is no folder {str(target.parent)!r}, so make it first")
        if target.is_dir():
            raise FileError(f"cannot write {str(path)!r}: it is a folder, so name a file")
        if target.exists() and not overwrite:
            raise _exists(path)
        if target.exists() and not target.is_file():
            raise FileError(f"cannot write {str(path)!r}: it is no ordinary file")
    except (OSError, ValueError) as error:
        if isinstance(error, FileError):
            raise
        raise _unwritten(path, error) from error
    return target


def make_folder(path: str | Path) -> Path:
    """Make a folder, in one that exists, or take one that is there.

    Raises
    ------
    FileError
        If it cannot be made.
    """
    folder = Path(path)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot write to the folder {str(path)!r}: {error.strerror}") from error
    return folder


def _exists(path: str | Path) -> FileError:
    return FileError(f"{str(path)!r} exists: choose another name, or overwrite it with overwrite=True (--overwrite)")


def _unwritten(path: str | Path, error: Exception) -> FileError:
    why = first_line(error)
    if isinstance(error, OSError):
        # numpy tells how much was written, not why no more
        why = os.strerror(error.errno) if error.errno else f"the disk is full or a size limit is reached ({why})"
    return FileError(f"cannot write {str(path)!r}: {why}; nothing was written")


@contextmanager
def writing(path: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary path in the same folder to write to; on success it takes its place, else it is removed.

    Raises
    ------
    FileError
        If the target is not free and may not be overwritten, or writing fails.
    """
    target = check_target(path, overwrite)
    temporary = target.parent / f".neuronym-{secrets.token_hex(8)}.tmp"
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        _put(temporary, target, overwrite)
    except FileExistsError:
        raise _exists(path) from None
    except (OSError, UnicodeEncodeError) as error:
        raise _unwritten(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _put(temporary: Path, target: Path, overwrite: bool) -> None:
    if not overwrite:
        try:
            os.link(temporary, target)  # unlike a rename, this fails where a file has appeared in the meantime
            return
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            if target.exists():
                raise FileExistsError from None
    temporary.replace(target)

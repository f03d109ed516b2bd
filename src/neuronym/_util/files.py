"""Reading and atomic writing of files, with clear errors."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from neuronym._util.characters import half_in, shortened
from neuronym._util.locks import beside, leftovers, locked
from neuronym._util.messages import some
from neuronym._util.urls import is_local
from neuronym.errors import FileError, NeuronymError

__all__ = [
    "check_name",
    "check_target",
    "first_line",
    "keep_mode",
    "kind_of",
    "parse_json",
    "read_json",
    "reading",
    "sync",
    "sync_all",
    "unwritten",
    "writing",
    "writing_together",
]

_MANY = 256  # files that take longer to flush one by one than everything at once

_LONGEST = 300  # characters of a reader's message


def kind_of(path: str | Path, kinds: Sequence[str], what: str) -> str:
    """The suffix of a file's name, in lower case, which must be one of ``kinds``.

    Raises
    ------
    FileError
        If it is not.
    """
    kind = Path(path).suffix.lower()
    if kind not in kinds:
        raise FileError(
            f"unknown kind of file {str(path)!r}: the name of a file of {what} must end in {' or '.join(kinds)}"
        )
    return kind


@contextmanager
def reading(path: str | Path, what: str) -> Iterator[None]:
    """Turn every error of a reader into a ``FileError`` that names the file.

    Readers raise errors of any type on a broken file. So put only calls of the reader inside, and check its results
    outside, so that a bug of ours is not reported as a broken file.

    Parameters
    ----------
    path : str or Path
        The file.
    what : str
        What the file should contain, for messages.

    Raises
    ------
    FileError
        If the file is empty, or an error other than ours or ``MemoryError`` is raised inside.
    """
    if "\0" in str(path):
        raise FileError(f"cannot read {what}: the path {str(path)!r} contains a NUL character")
    try:
        if is_local(path) and Path(path).is_file() and not Path(path).stat().st_size:
            raise FileError(f"cannot read {what} from {str(path)!r}: the file is empty")
        yield
    except (NeuronymError, MemoryError):
        raise
    except FileNotFoundError:
        raise FileError(f"cannot read {what}: there is no file {str(path)!r}") from None
    except UnicodeDecodeError as error:
        raise FileError(f"cannot read {what} from {str(path)!r}: it is not UTF-8 text ({error})") from error
    except Exception as error:
        raise FileError(f"cannot read {what} from {str(path)!r}: {_why(error, path)}") from error


def read_json(path: str | Path, what: str) -> Any:
    """The contents of a JSON file.

    Raises
    ------
    FileError
        If it cannot be read or is not JSON.
    """
    # Besides syntax errors, there are errors of numbers of too many digits and of deep nesting.
    with reading(path, what), (Path(path) if isinstance(path, str) else path).open(encoding="utf-8-sig") as file:
        return parse_json(file.read())


def parse_json(text: str | bytes) -> Any:
    r"""The contents of JSON text, without half of a surrogate pair in any of its texts.

    Raises
    ------
    ValueError
        If it is not JSON, or has an escape such as ``\ud800`` alone, which is no character.
    """
    found = json.loads(text)
    escape = _HALF.search(text if isinstance(text, str) else text.decode())
    if escape is not None:
        half = half_in(json.dumps(found, ensure_ascii=False))
        if half is not None:
            raise ValueError(f"a text in it contains half of a character ({half})")
    return found


_HALF = re.compile(r"\\u[dD][89a-fA-F]")  # the escape of half of a surrogate pair, alone or not


def _why(error: Exception, path: str | Path) -> str:
    """What a reader's error says of a file; with the name of its type if that alone says little."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    said = first_line(error)
    said = said if len(said) <= _LONGEST else said[:_LONGEST] + "…"
    if not is_local(path):
        return f"{type(error).__name__}: {said}"
    return said if isinstance(error, OSError | ValueError) else f"it is broken ({type(error).__name__}: {said})"


def first_line(error: Exception) -> str:
    """The first line of an error's message, or else the name of its type."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def check_name(path: str | Path) -> None:
    """Raise a ``FileError`` if no file can have this path."""
    try:
        problem = "it contains a NUL character" if b"\0" in os.fsencode(path) else None
    except UnicodeEncodeError:
        problem = "it contains half of a character"
    if problem:
        raise FileError(f"cannot write {str(path)!r}: {problem}; nothing was written")


def check_target(path: str | Path, overwrite: bool) -> Path:
    """Check that a file can be written, and resolve its path.

    Raises
    ------
    FileError
        If the folder is missing, or the path is taken and must not be overwritten.
    """
    check_name(path)
    target = Path(os.path.realpath(path))
    try:
        if not target.parent.is_dir():
            raise FileError(f"cannot write {str(path)!r}: there is no folder {str(target.parent)!r}, so make it first")
        if target.is_dir():
            raise FileError(f"cannot write {str(path)!r}: it is a folder, so name a file")
        if target.exists() and not overwrite:
            raise _exists(path)
        if target.exists() and not target.is_file():
            raise FileError(f"cannot write {str(path)!r}: it is not a regular file")
    except (OSError, ValueError) as error:
        if isinstance(error, FileError):
            raise
        raise unwritten(error, path) from error
    return target


def _exists(path: str | Path) -> FileError:
    """The error for a file that exists."""
    return FileError(f"{str(path)!r} exists: choose another name, or overwrite it with overwrite=True (--overwrite)")


def unwritten(error: Exception, *paths: str | Path) -> FileError:
    """The error for a failed write, with the words of the system or of the library that wrote."""
    why = first_line(error)
    if isinstance(error, OSError):
        # without an errno, it is numpy's, which reports how much was written but not why no more
        why = os.strerror(error.errno) if error.errno else f"the disk is full or a size limit is reached ({why})"
    if isinstance(error, UnicodeEncodeError):  # of a text that is no name; names are checked where they enter
        part = error.object[max(0, error.start - 20) : error.start + 20]
        why = f"the text {shortened(part)} contains half of a character ({error.object[error.start]!a})"
    return FileError(f"cannot write {some(map(str, paths))}: {why}; nothing was written")


def sync(path: Path) -> None:
    """Wait until a file, or the list of names in a folder, is on the disk."""
    windows = os.name == "nt"  # which opens no folders, and flushes only what is open for writing
    if windows and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if windows else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems cannot do it for folders
            raise
    finally:
        os.close(descriptor)


def sync_all(paths: Sequence[Path]) -> None:
    """Wait until files and folders are on the disk; many of them by one call for all that waits to be written."""
    if len(paths) > _MANY and hasattr(os, "sync"):
        os.sync()
        return
    for path in paths:
        sync(path)


def keep_mode(old: Path, new: Path) -> None:
    """Give a file or folder the permissions of the one that it replaces, if there is one."""
    if old.exists():
        with suppress(PermissionError):  # of file systems without permissions
            new.chmod(stat.S_IMODE(old.stat().st_mode))


@contextmanager
def writing(path: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary path in the same folder to write to; on success it replaces the target, else it is removed.

    The permissions of a file that is replaced are kept.

    Raises
    ------
    FileError
        If the target exists and must not be overwritten, another run is writing to it, or writing fails.
    """
    with writing_together([path], overwrite) as temporaries:
        yield temporaries[0]


@contextmanager
def writing_together(paths: Sequence[str | Path], overwrite: bool = False) -> Iterator[list[Path]]:
    """Yield a temporary path for each file; when all are on the disk, they replace the targets, one after the other.

    So none is replaced if one cannot be written. If the run is killed in the instant between two of them, each is
    complete, and the first ones are new.

    Raises
    ------
    FileError
        As for ``writing``.
    """
    targets = [check_target(path, overwrite) for path in paths]
    temporaries = [beside(target, "tmp") for target in targets]
    try:
        with ExitStack() as stack:
            for path, target, temporary in zip(paths, targets, temporaries, strict=True):
                stack.enter_context(_scratch(path, target, temporary))
            yield temporaries
            for path, target, temporary in zip(paths, targets, temporaries, strict=True):
                check_target(path, overwrite)
                keep_mode(target, temporary)
                sync(temporary)
            for path, target, temporary in zip(paths, targets, temporaries, strict=True):
                _put(temporary, target, path, overwrite)
    except BrokenPipeError:  # of what is printed meanwhile
        raise
    except (OSError, UnicodeEncodeError) as error:
        raise unwritten(error, *paths) from error


@contextmanager
def _scratch(path: str | Path, target: Path, temporary: Path) -> Iterator[None]:
    """Keep other runs away from a file, remove what runs that died left, and remove the temporary file at the end."""
    with locked(target, path) as alone:
        for left in leftovers(target, "tmp") if alone else ():
            left.unlink(missing_ok=True)
        try:
            yield
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def _put(temporary: Path, target: Path, path: str | Path, overwrite: bool) -> None:
    """Move a finished file into place."""
    try:
        if overwrite:
            temporary.replace(target)
        else:
            _link(temporary, target)
    except FileExistsError:
        raise _exists(path) from None
    sync(target.parent)


def _link(temporary: Path, target: Path) -> None:
    """Move a finished file to a name that must be free."""
    try:
        os.link(temporary, target)  # unlike a rename, this fails if a file has appeared in the meantime
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if target.exists():
            raise FileExistsError from None
        temporary.replace(target)

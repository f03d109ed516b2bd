"""Writing of folders: old or new, and complete, however a run ends; nothing that we did not write is deleted.

A folder is built beside its target, under a hidden name and a lock, and swapped in when it is complete. Its manifest,
``.neuronym.json``, names its files; only a folder whose manifest names every file in it is ever replaced.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from neuronym._util.files import check_name, keep_mode, sync, sync_all, unwritten
from neuronym._util.locks import beside, leftovers, locked
from neuronym._util.messages import some
from neuronym.errors import FileError

__all__ = ["MANIFEST", "check_folder", "exchange", "replacing"]

MANIFEST = ".neuronym.json"

_FORMAT = 1
_NOREPLACE, _EXCHANGE = 1, 2  # flags of renameat2 in Linux
_BUILDS: ContextVar[dict[Path, Path]] = ContextVar("builds")  # the folders being built, by their targets


def check_folder(path: str | Path, kind: str, overwrite: bool) -> Path:
    """Check that a folder can be written, and resolve its path; call it before the work.

    Parameters
    ----------
    path : str or Path
        The folder.
    kind : str
        What it is to be, such as ``"report"``, for its manifest and for messages.
    overwrite : bool
        Whether to replace a folder of this kind.

    Returns
    -------
    Path
        The resolved path.

    Raises
    ------
    FileError
        If the parent folder is missing, or the path is taken by anything but an empty folder or, with ``overwrite``,
        a folder of this kind whose manifest names every file in it.
    """
    target = _resolved(path)
    try:
        if not target.parent.is_dir():
            raise FileError(f"cannot write {str(path)!r}: there is no folder {str(target.parent)!r}, so make it first")
        if target.is_symlink():
            raise FileError(f"cannot write {str(path)!r}: it is a link, so name the folder itself")
        if not target.exists():
            return target
        if not target.is_dir():
            raise FileError(f"cannot write {str(path)!r}: it exists and is not a folder")
        if target in (here := Path.cwd(), *here.parents):
            raise FileError(f"cannot write {str(path)!r}: it is in use as the current folder, so name another")
        _check_contents(target, path, kind, overwrite)
    except (OSError, ValueError) as error:
        if isinstance(error, FileError):
            raise
        raise unwritten(error, path) from error
    return target


def _check_contents(target: Path, path: str | Path, kind: str, overwrite: bool) -> None:
    """Raise unless a folder is empty, or one of ours that may be replaced."""
    if not any(target.iterdir()):
        return
    found = _manifest(target)
    if found is None or found[0] != kind or found[1] is None:
        raise FileError(
            f"{str(path)!r} exists and is not a {kind} with a list of its files, by which alone it may be replaced: "
            "delete it yourself, or choose another name"
        )
    foreign = list(_foreign(target, found[1]))
    if foreign:
        raise FileError(
            f"{str(path)!r} exists and holds {some(foreign)}, which neuronym did not write: move what is yours, or "
            "choose another name"
        )
    if not overwrite:
        raise FileError(f"{str(path)!r} exists: choose another name, or replace it with overwrite=True (--overwrite)")


@contextmanager
def replacing(path: str | Path, kind: str, overwrite: bool = False, keep: Collection[str] = ()) -> Iterator[Path]:
    """Yield a new folder to write to; on success it takes the place of the target, else the target stays as it was.

    Inside, a further call for the same path joins: it yields the same folder, and the outermost call finishes it. What
    a run that died left behind is removed.

    Parameters
    ----------
    path : str or Path
        The target.
    kind : str
        What it is to be, as for ``check_folder``.
    overwrite : bool, default False
        Whether to replace a folder of this kind.
    keep : collection of str, default ()
        The names of subfolders that are costly to make. The new folder starts with those of a run that was stopped
        before it was done, or with those of the target as hard links, which must be read or deleted but not changed.

    Raises
    ------
    FileError
        If the target cannot be written, as for ``check_folder``; another run is writing to it; or writing fails.
    """
    joined = _BUILDS.get({}).get(_resolved(path))
    if joined is not None:
        yield joined
        return
    target = check_folder(path, kind, overwrite)
    build = beside(target, "new")
    with _explained(path, target, build), locked(target, path) as alone:
        resumable = False
        try:
            build.mkdir()
            _write_manifest(build, kind, None)
            if alone:
                _clean_up(target, build, keep)
            check_folder(path, kind, overwrite)
            _link(target, build, keep)
            token = _BUILDS.set({**_BUILDS.get({}), target: build})
            try:
                yield build
            except (OSError, FileError):  # such as a full disk
                raise
            except BaseException:
                resumable = any((build / name).is_dir() for name in keep)
                raise
            finally:
                _BUILDS.reset(token)
            _finish(build, target, kind)
            _swap(build, target, path, kind, overwrite)
        finally:
            if build.is_dir() and not resumable:  # the new one that failed, or the old one
                with suppress(OSError):  # the next run tries again
                    _delete(build)


@contextmanager
def _explained(path: str | Path, target: Path, build: Path) -> Iterator[None]:
    """Turn errors of writing into a ``FileError`` that names the target."""
    try:
        yield
    except BrokenPipeError:  # of what is printed meanwhile
        raise
    except FileError as error:
        if str(build) not in str(error):
            raise
        text = str(error).replace(str(build), str(path)).replace("earlier writes are kept", "nothing was written")
        raise FileError(text) from error
    except (OSError, UnicodeEncodeError) as error:
        name = getattr(error, "filename", None)
        if name is not None and target.name not in str(name):  # of a file that is read meanwhile
            raise
        raise unwritten(error, path) from error


def _resolved(path: str | Path) -> Path:
    """The absolute path of a folder, whose own name is not followed if it is a link."""
    check_name(path)
    given = Path(path)
    try:
        if given.name in ("", ".."):
            return Path(os.path.realpath(given))
        return Path(os.path.realpath(given.parent)) / given.name
    except OSError as error:
        raise unwritten(error, path) from error


def _manifest(folder: Path) -> tuple[str, set[str] | None] | None:
    """The kind of a folder and the names of its files, None while it is being built; None if it is not ours."""
    path = folder / MANIFEST
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return None
        found = json.loads(path.read_text(encoding="utf-8"))
        kind, files = found["kind"], found["files"]
        if found["format"] != _FORMAT or not isinstance(kind, str) or not isinstance(files, dict | None):
            return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return kind, None if files is None else set(files)


def _write_manifest(folder: Path, kind: str, sizes: dict[str, int] | None) -> None:
    """Write the manifest of a folder, which lists the sizes of its files when it is complete."""
    text = json.dumps({"format": _FORMAT, "kind": kind, "files": sizes}, indent=1, sort_keys=True)
    temporary = folder / f"{MANIFEST}.partial"
    temporary.write_text(text + "\n", encoding="utf-8")
    sync(temporary)
    temporary.replace(folder / MANIFEST)
    sync(folder)


def _walk(folder: Path) -> Iterator[tuple[str, Path, list[str]]]:
    """Yield each subfolder, innermost first, by name relative to the folder, with its path and the names in it."""
    for root, folders, files in os.walk(folder, topdown=False, onerror=_raise):
        relative = Path(root).relative_to(folder).as_posix()
        links = [name for name in folders if Path(root, name).is_symlink()]
        yield "" if relative == "." else f"{relative}/", Path(root), [*files, *links]


def _raise(error: OSError) -> None:
    raise error


def _foreign(folder: Path, files: set[str]) -> Iterator[str]:
    """Yield what is in a folder that its manifest does not name."""
    files = {*files, MANIFEST}
    known = {f"{parent.as_posix()}/" for name in files for parent in Path(name).parents}
    for prefix, root, names in _walk(folder):
        if prefix and prefix not in known and not names:
            yield prefix
        for name in names:
            regular = stat.S_ISREG((root / name).lstat().st_mode)
            if not (regular and prefix + name in files):
                yield prefix + name


def _delete(folder: Path) -> None:
    """Delete a folder of ours: all of an unfinished one, and of a finished one what its manifest names."""
    found = _manifest(folder)
    if _names(folder) <= {MANIFEST, f"{MANIFEST}.partial"} or (found is not None and found[1] is None):
        shutil.rmtree(folder)
        return
    files = set() if found is None or found[1] is None else found[1]
    for prefix, root, names in _walk(folder):
        root.chmod(0o700)
        for name in names:
            if prefix + name in files:
                (root / name).unlink()
        if prefix and not _names(root):
            root.rmdir()
    if _names(folder) == {MANIFEST}:
        (folder / MANIFEST).unlink()
        folder.rmdir()


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def _clean_up(target: Path, build: Path, keep: Collection[str]) -> None:
    """Put back, take over or delete what runs that died have left beside the target."""
    for left in [*leftovers(target, "old"), *leftovers(target, "new")]:
        if left == build or left.is_symlink() or not left.is_dir():
            continue
        found = _manifest(left)
        finished = found is not None and found[1] is not None
        if finished and left.suffix == ".old" and not target.exists():  # it died between two renames
            left.rename(target)
            continue
        for name in keep if found is not None and not finished else ():
            if (left / name).is_dir() and not (build / name).exists():
                (left / name).rename(build / name)
        _delete(left)


def _link(target: Path, build: Path, keep: Collection[str]) -> None:
    """Start a new folder with the kept subfolders of the target."""

    def link(source: str, copy: str) -> None:
        try:
            os.link(source, copy)
        except OSError:  # a file system without links
            shutil.copy2(source, copy)

    for name in keep:
        if (target / name).is_dir() and not (build / name).exists():
            shutil.copytree(target / name, build / name, copy_function=link)


def _finish(build: Path, target: Path, kind: str) -> None:
    """Write everything to the disk, the manifest last, with the permissions of what is replaced."""
    sizes: dict[str, int] = {}
    folders: list[str] = []
    for prefix, root, names in _walk(build):
        sizes |= {prefix + name: (root / name).stat().st_size for name in names}
        if prefix and not _names(root):
            root.rmdir()
        else:
            folders.append(prefix)
    sync_all([build / name for name in [*sizes, *folders]])
    del sizes[MANIFEST]
    _write_manifest(build, kind, sizes)
    for name in [MANIFEST, *sizes, *folders]:
        keep_mode(target / name, build / name)


def _swap(build: Path, target: Path, path: str | Path, kind: str, overwrite: bool) -> None:
    """Put a finished folder into place; what is replaced is at ``build`` afterwards, if it was not empty."""
    check_folder(path, kind, overwrite)
    try:
        if not target.exists():
            _rename(build, target)
        elif not any(target.iterdir()):
            build.rename(target)  # fails if it is no longer empty
        else:
            exchange(build, target)
            try:  # what was put there just now
                _check_contents(build, path, kind, overwrite)
            except FileError:
                exchange(build, target)
                raise
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise
        raise FileError(
            f"{str(path)!r} was made by another program meanwhile and is left as it is: choose another name"
        ) from None
    sync(target.parent)


def _rename(build: Path, target: Path) -> None:
    """Rename a folder to a free name."""
    if not _renameat2(build, target, _NOREPLACE):
        if target.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        build.rename(target)


def exchange(build: Path, target: Path) -> None:
    """Exchange two folders: at once where the system can, and elsewhere so that the next run can mend it."""
    if _renameat2(build, target, _EXCHANGE):
        return
    aside = beside(target, "old")
    try:
        target.rename(aside)
        build.rename(target)
    except BaseException:  # Ctrl-C too
        if aside.exists() and not target.exists():
            aside.rename(target)
        raise
    finally:
        if aside.exists() and not build.exists():
            aside.rename(build)


def _renameat2(source: Path, target: Path, flag: int) -> bool:
    """Rename in the way of Linux; False where there is no such way."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    here = -100  # AT_FDCWD; the paths are absolute
    if rename(here, os.fsencode(source), here, os.fsencode(target), flag) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM):
        return False
    raise OSError(number, os.strerror(number), str(source), None, str(target))

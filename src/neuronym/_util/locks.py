"""Scratch beside an output, named after it, and a lock that keeps a second run away from both."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

from neuronym.errors import FileError

__all__ = ["BusyError", "beside", "leftovers", "locked", "try_lock"]

_LONGEST = 100  # bytes of a name that, with our endings, still fits a file system


class BusyError(FileError):
    """Another run is writing to the same place."""


def beside(target: Path, ending: str) -> Path:
    """A new hidden path beside an output, such as ``.report.neuronym-0123456789abcdef.new``."""
    return target.with_name(f"{_stem(target)}-{secrets.token_hex(8)}.{ending}")


def leftovers(target: Path, ending: str) -> list[Path]:
    """The paths made by ``beside`` that exist; only under the lock are they known to be those of a run that died."""
    ours = re.compile(re.escape(f"{_stem(target)}-") + f"[0-9a-f]{{16}}\\.{ending}")
    try:
        return sorted(path for path in target.parent.iterdir() if ours.fullmatch(path.name))
    except PermissionError:  # a folder that can be written to but not read
        return []


def _stem(target: Path) -> str:
    """What the names of an output's scratch begin with."""
    name = os.fsencode(target.name)
    return f".{target.name if len(name) <= _LONGEST else blake2b(name, digest_size=16).hexdigest()}.neuronym"


@contextmanager
def locked(target: Path, path: str | Path) -> Iterator[bool]:
    """Keep other runs away from an output, by a lock on a hidden file beside it that ends with this process.

    Parameters
    ----------
    target : Path
        The output, resolved.
    path : str or Path
        The output as the user named it, for messages.

    Yields
    ------
    bool
        Whether other runs are kept away; False on systems and file systems without locks.

    Raises
    ------
    BusyError
        If another run holds the lock.
    """
    lock = target.with_name(f"{_stem(target)}-lock")
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            held = try_lock(descriptor, path)
            if not held or _is_at(descriptor, lock):
                break
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its holder was just done and removed it
    try:
        yield held
    finally:
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def try_lock(descriptor: int, path: str | Path) -> bool:
    """Lock an open file or folder until it is closed; False if that is impossible here.

    Raises
    ------
    BusyError
        If another run holds the lock.
    """
    try:
        import fcntl
    except ImportError:  # Windows has no such lock
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BusyError(f"another run is writing to {str(path)!r}: wait for it, or choose another name") from None
    except OSError:  # a file system without locks
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether a path leads to an open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False

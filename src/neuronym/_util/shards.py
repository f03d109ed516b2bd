"""Shards: the parts into which several processes cut one piece of work."""

from __future__ import annotations

import os
import re
from numbers import Integral
from typing import NamedTuple

from neuronym.errors import OptionError

__all__ = ["MOST", "Shard", "as_shard", "shard_of_environment"]

MOST = 10**6  # shards


class Shard(NamedTuple):
    """One of several parts.

    Parameters
    ----------
    number : int
        Which one, from 1.
    of : int
        How many there are.
    """

    number: int
    of: int

    def bounds(self, n: int) -> tuple[int, int]:
        """Return where the shard of n items starts and stops; sizes differ by one at most."""
        return (self.number - 1) * n // self.of, self.number * n // self.of

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def as_shard(given: object) -> Shard:
    """Take a shard from text, such as ``"3/8"``, or from a pair of whole numbers, such as ``(3, 8)``.

    Raises
    ------
    OptionError
        If it is neither.
    """
    found = re.fullmatch(r"\s*([0-9]{1,7})\s*/\s*([0-9]{1,7})\s*", given) if isinstance(given, str) else None
    pair = found.groups() if found else given if isinstance(given, tuple | list) else ()
    if (len(pair) == 2 and all(isinstance(one, Integral) and not isinstance(one, bool) for one in pair)) or found:
        shard = Shard(*map(int, pair))
        if 1 <= shard.number <= shard.of <= MOST:
            return shard
    raise OptionError(f"shard must be its number and how many there are, from 1/8 to 8/8 for eight, not {given!r}")


def shard_of_environment() -> Shard | None:
    """Return the shard that torchrun says this process is, by RANK and WORLD_SIZE; None outside of it.

    Raises
    ------
    OptionError
        If what the two variables say is no shard.
    """
    rank, size = os.environ.get("RANK"), os.environ.get("WORLD_SIZE")
    if rank is None or size is None:
        return None
    try:
        return as_shard((int(rank) + 1, int(size)))
    except (ValueError, OptionError):
        raise OptionError(
            f"RANK={rank} and WORLD_SIZE={size} are set and name no process of several: unset them, or give a shard"
        ) from None

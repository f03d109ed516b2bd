"""What all sources end with: concepts above the classes, rare ones dropped, a file."""

from __future__ import annotations

from neuronym._util.files import check_target, kind_of
from neuronym.data.concepts import Concepts
from neuronym.data.hierarchy import Hierarchy
from neuronym.errors import OptionError
from neuronym.io.files import save_concepts
from neuronym.types import PathLike

__all__ = ["check_out", "check_separator", "expanded", "finish"]


def check_out(out: PathLike | None, overwrite: bool) -> None:
    """Refuse, before the work, a file that cannot be written."""
    if out is not None:
        kind_of(out, (".parquet",), "saved concepts")
        check_target(out, overwrite)


def check_separator(separator: str | None) -> None:
    """Refuse a separator without characters."""
    if separator == "":
        raise OptionError("separator must be a text of at least one character, such as '|', not ''")


def expanded(concepts: Concepts, above: Hierarchy | None, min_classes: int) -> Concepts:
    """Add the concepts above these in a hierarchy, which must contain at least one of them."""
    if above is None:
        return concepts
    if not concepts.n_concepts:
        raise OptionError("there are no concepts to look up in the hierarchy")
    return concepts.expand(above, min_concepts=min_classes)


def finish(
    concepts: Concepts, above: Hierarchy | None, min_count: int, ids: bool, out: PathLike | None, overwrite: bool
) -> Concepts:
    """Drop rare concepts, make names readable unless ids are wanted, and save the rest if there is an ``out``."""
    concepts = concepts.prune(min_count)
    if above is not None and not ids:
        concepts = concepts.rename(above.readable(concepts.names))
    if out is not None:
        save_concepts(concepts, out, overwrite=overwrite)
    return concepts

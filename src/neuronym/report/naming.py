"""Readable names of concepts: read from a file, and told apart where two concepts share one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from itertools import islice

from neuronym._util.characters import refuse_halves, shortened
from neuronym._util.files import kind_of, read_json
from neuronym._util.messages import counted, some, warn
from neuronym.data.hierarchy import Hierarchy
from neuronym.errors import FileError, OptionError
from neuronym.io.tables import TABLES, read_table
from neuronym.types import PathLike

__all__ = ["open_names", "readable_names"]

_WHAT = "names of concepts"
_HEADER = ["concept", "name"]  # the columns of a table, which are no concept
_COMPARED = 5000  # names that near ones are looked for among


def open_names(path: PathLike) -> dict[str, str]:
    """Read readable names of concepts.

    Parameters
    ----------
    path : str or Path
        A table of two columns, the concept and its name: ``.csv``, ``.tsv``, ``.txt`` or ``.parquet``. The first line
        is ``concept,name``, or any other header, or the first concept. Or a ``.json`` object of names by concept.

    Returns
    -------
    dict of str to str
        The names, by concept; any other header is one of them.

    Raises
    ------
    FileError
        If the file cannot be read, has other columns, or has an empty name or several names for a concept.
    """
    if kind_of(path, (*TABLES, ".json"), _WHAT) == ".json":
        read = read_json(path, _WHAT)
        if not isinstance(read, dict):
            raise FileError(f'{str(path)!r} must be an object of a name for each concept, like {{"n02084071": "dog"}}')
        pairs = list(read.items())
    else:
        table = read_table(path, _WHAT)
        header = table.column_names
        if len(header) != 2:
            raise FileError(f"{str(path)!r} must have two columns, concept and name, but has {some(header)}")
        first, second = (column.to_pylist() for column in table.columns)
        pairs = [(header[0], header[1])] if header != _HEADER else []
        pairs += zip(first, second, strict=True)
    names: dict[str, str] = {}
    for concept, name in pairs:
        if not isinstance(name, str) or not name.strip():
            raise FileError(f"{str(path)!r} must have a name for each concept, but for {concept!r} has {name!r}")
        if names.setdefault(str(concept), name) != name:
            raise FileError(
                f"{str(path)!r} has two names for {concept!r} ({names[str(concept)]!r}, {name!r}): keep one"
            )
    return names


def readable_names(given: Mapping[str, str] | PathLike | None, concepts: Iterable[str]) -> dict[str, str]:
    """Find the readable names of concepts, each of another text.

    Parameters
    ----------
    given : mapping of str to str, str, Path or None
        Names by concept, or their file. Those of other concepts are ignored.
    concepts : iterable of str
        The concepts.

    Returns
    -------
    dict of str to str
        The name of each concept, or nothing without names. Where two would share one, their own names are added in
        parentheses, with a warning.

    Raises
    ------
    FileError
        If the file cannot be read.
    OptionError
        If a name is no text, or none is that of a concept.
    """
    if given is None:
        return {}
    names = dict(given) if isinstance(given, Mapping) else open_names(given)
    listed = list(dict.fromkeys(concepts))
    if not names or not listed:
        return {}
    odd = [name for name in names.values() if not isinstance(name, str) or not name.strip()]
    if odd:
        raise OptionError(f"a name of a concept must be text with a visible character, not {odd[0]!r}")
    known = {concept: names[concept] for concept in listed if concept in names}
    if not known:
        raise _no_match(names, listed)
    refuse_halves(known.values(), "name", OptionError)
    shown = {concept: known.get(concept, concept) for concept in listed}
    times = Counter(shown.values())
    shared = [concept for concept in listed if times[shown[concept]] > 1]
    if shared:
        alike = list(dict.fromkeys(shown[concept] for concept in shared))
        told = Hierarchy((), known).readable(listed)
        warn(
            f"{counted(len(shared), 'concept')} share {counted(len(alike), 'readable name')} ({some(alike)}) and are "
            f"shown as {some(told[concept] for concept in shared)}"
        )
        return told
    return shown


def _no_match(names: Mapping[str, str], concepts: list[str]) -> OptionError:
    """The error for names none of which is that of a concept."""
    spelled = {name.strip().casefold(): name for name in map(str, names)}
    near = next((spelled[c.strip().casefold()] for c in concepts if c.strip().casefold() in spelled), None)
    if near is None:
        some_names = list(islice(map(str, names), _COMPARED))
        near = next((found[0] for c in concepts[:20] if (found := get_close_matches(c, some_names, n=1))), None)
    swapped = not set(concepts).isdisjoint(names.values())
    hint = "; they are among the readable names: swap the two" if swapped else ""
    hint = hint or ("" if near is None else f"; nearest is {shortened(near)}")
    return OptionError(
        f"names has none for the concepts of the report ({some(concepts)}), but for {some(map(str, names))}{hint}"
    )

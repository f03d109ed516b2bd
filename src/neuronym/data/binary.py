"""Columns of concepts, for each the samples of which it is true, from long tables, sets, classes and scores.

Columns are a pair of int64 arrays as in a compressed sparse column matrix: ``ptr`` (n_concepts + 1,) and
``samples`` (n_yes,), where concept c is true of ``samples[ptr[c]:ptr[c + 1]]``, in ascending order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuronym._util.messages import counted, some, warn
from neuronym.data.ids import is_count, is_missing
from neuronym.data.labelled import inverted, listed, to_array
from neuronym.errors import ConceptsError, OptionError

if TYPE_CHECKING:
    pass

Ints = NDArray[np.int64]


def stacked(columns: Sequence[NDArray[Any]]) -> dict[str, Ints]:
    """Join the samples of each concept into the two arrays."""
    ptr = np.concatenate([np.zeros(1, np.int64), np.cumsum([len(c) for c in columns], dtype=np.int64)])
    return {"ptr": ptr, "samples": np.concatenate(columns) if columns else np.zeros(0, np.int64)}


def columns_of_pairs(concepts: NDArray[Any], samples: NDArray[Any], n_concepts: int) -> tuple[Ints, Ints]:
    """Columns from (concept, sample) pairs of indices in any order; a repeated pair counts once."""
    order = np.lexsort((samples, concepts))
    concept, sample = np.asarray(concepts, np.int64)[order], np.asarray(samples, np.int64)[order]
    fresh = np.ones(len(order), np.bool_)
    fresh[1:] = (concept[1:] != concept[:-1]) | (sample[1:] != sample[:-1])
    counts = np.bincount(concept[fresh], minlength=n_concepts)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]), sample[fresh]


def as_matrix(given: Any, what: str = "concepts") -> NDArray[Any]:
    """Convert to an array; masked values become None."""
    if isinstance(given, np.ma.MaskedArray) and np.ma.is_masked(given):  # masked values are unknown
        plain: NDArray[Any] = np.ma.getdata(given).astype(object)
        plain[np.ma.getmaskarray(given)] = None
        return plain
    return to_array(given, what, ConceptsError)


def columns_of(matrix: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """The columns of a matrix, each contiguous; transposed a block at a time, which is faster than one by one."""
    for start in range(0, matrix.shape[1], 64):
        yield from np.ascontiguousarray(matrix[:, start : start + 64].T)


def columns_of_long(
    samples: Iterable[object], concepts: Iterable[object], sample_ids: Iterable[object] | None
) -> tuple[Ints, Ints, list[str], list[str]]:
    """Columns, names and sample ids of a long table; an empty or missing concept only records a sample."""
    import pandas as pd

    of_rows, row_labels = listed(samples, "samples of a long table", ConceptsError)
    of_concepts, concept_labels = listed(concepts, "concepts of a long table", ConceptsError)
    if hasattr(samples, "iloc") and hasattr(concepts, "iloc") and row_labels != concept_labels:
        raise ConceptsError(
            "the samples and the concepts of a long table have different indexes: give two columns of one table"
        )
    rows, names = pd.Series(of_rows, dtype=object), pd.Series(of_concepts, dtype=object)
    if len(rows) != len(names):
        raise ConceptsError(
            f"{counted(len(rows), 'sample')} for {counted(len(names), 'concept')}: a long table needs one of each per "
            "row"
        )
    if rows.isna().any():
        raise ConceptsError(
            f"{counted(int(rows.isna().sum()), 'row')} of the long table without a sample: each row needs one"
        )
    texts = rows.map(str).tolist()
    if sample_ids is not None:
        known = [str(i) for i in listed(sample_ids, "sample ids", ConceptsError)[0]]
    else:
        known = list(dict.fromkeys(texts))
        known = sorted(known, key=int) if is_count(known) else known  # row numbers
    place = {sample: row for row, sample in enumerate(known)}
    lost = [sample for sample in dict.fromkeys(texts) if sample not in place]
    if lost:
        raise ConceptsError(f"sample_ids lacks {counted(len(lost), 'sample')} of the long table ({some(lost)})")
    shown = ~(names.isna() | (names == "")).to_numpy(dtype=bool)
    code, unique = pd.factorize(names[shown].map(str))
    row = np.fromiter((place[sample] for sample in texts), np.int64, len(texts))
    ptr, yes = columns_of_pairs(code, row[shown], len(unique))
    return ptr, yes, [str(name) for name in unique], known


def columns_of_sets(sets: Sequence[Any]) -> tuple[Ints, Ints, list[str]]:
    """Columns and names, in alphabetical order, from one set of names per sample."""
    texts = [s for s in sets if isinstance(s, str)]
    if texts:
        raise ConceptsError(
            f"each sample needs a set of names; found {counted(len(texts), 'single text')} ({some(texts, 1)})"
        )
    odd = [s for s in sets if not isinstance(s, Iterable)]
    if odd:
        raise ConceptsError(
            f"each sample needs a set of names; found {counted(len(odd), 'other value')} ({some(odd, 1)})"
        )
    half = [s for s in sets if isinstance(s, Mapping) and not all(s.values())]
    if half:
        raise ConceptsError(
            f"each sample needs a set of names; found {counted(len(half), 'mapping')} with values of no "
            f"({some(half, 1)}): give a table of yes and no"
        )
    whole = [{_member(name) for name in s} for s in sets]
    wrong = [name for s in whole for name in s if not isinstance(name, str | int | np.integer)]
    if wrong:
        raise ConceptsError(
            f"names of concepts in sets must be texts or numbers, but {counted(len(wrong), 'one')} "
            f"{'is' if len(wrong) == 1 else 'are'} not ({some(wrong, 1)}): name each concept"
        )
    members = [{str(name) for name in s} for s in whole]
    names = sorted(set().union(*members))
    place = {name: c for c, name in enumerate(names)}
    pairs = [(place[name], row) for row, shown in enumerate(members) for name in shown]
    table = np.array(pairs, np.int64).reshape(-1, 2)
    ptr, samples = columns_of_pairs(table[:, 0], table[:, 1], len(names))
    return ptr, samples, names


def _member(name: Any) -> object:
    """A name in a set, as a Python object; a missing one as None."""
    if isinstance(name, bytes):
        return name.decode(errors="replace")
    if type(name) is str:
        return name
    value = name.item() if hasattr(name, "item") and np.ndim(name) == 0 else name
    return None if is_missing(value) else value


def warn_of_combinations(cells: Iterable[object], where: str, remedy: str) -> None:
    """Warn if cells seem to hold several labels each: parts between separators that recur.

    ``remedy`` is a format of the separator.
    """
    times = Counter(str(cell) for cell in cells if not is_missing(cell))
    for separator in ("|", ";", ",", " "):
        parts = {value: [part.strip() for part in value.split(separator)] for value in times}
        several = sorted(value for value in times if len(parts[value]) > 1 and all(parts[value]))
        used = Counter(part for value in times for part in set(parts[value]))
        if separator == " " and (len({len(one) for one in parts.values()}) < 2 or len(used) > len(times)):
            continue  # rather names of several words
        recurring = [value for value in several if all(used[part] > 1 for part in parts[value])]
        if len(several) > 1 and 2 * len(recurring) >= len(several):
            warn(
                f"{where} seem to hold several labels separated by {separator!r}, such as {recurring[0]!r}, and each "
                f"combination becomes a concept: " + remedy.format(separator)
            )
            return


def columns_of_classes(array: NDArray[Any], names: Any) -> tuple[Ints, Ints, list[str]]:
    """Columns and names from one class per sample."""
    if array.shape == (0,):  # numpy reads an empty list as floats
        array = array.astype(np.int64)
    if array.dtype.kind == "O" and array.ndim == 1:
        array = _of_one_type(array)
    if array.ndim != 1 or array.dtype.kind not in "iuOUT":
        raise ConceptsError(
            f"classes must be a list of integers or texts, one per sample, not {array.dtype} of shape {array.shape}"
        )
    unique, code = np.unique(array, return_inverse=True)
    if names is None and unique.dtype.kind not in "iu":
        warn_of_combinations(unique.tolist(), "classes", "give sets of names, such as text.split({0!r})")
    if names is None:
        known, called = [str(u) for u in unique], [str(u) for u in unique]
    else:
        known, called = _classes_and_names(names, unique)
    place = {name: c for c, name in enumerate(known)}
    lost = [str(u) for u in unique if str(u) not in place]
    if lost and unique.dtype.kind in "iu" and known == [str(c) for c in range(len(known))]:
        raise ConceptsError(
            f"classes run from {unique[0]} to {unique[-1]}, but the {len(known)} names allow only 0 to {len(known) - 1}"
        )
    if lost:
        raise ConceptsError(f"the names lack {counted(len(lost), 'class')} ({some(lost)})")
    code = np.array([place[str(u)] for u in unique], np.int64)[code]
    ptr, samples = columns_of_pairs(code, np.arange(len(array)), len(called))
    return ptr, samples, called


def _classes_and_names(names: Any, unique: NDArray[Any]) -> tuple[list[str], list[str]]:
    """The classes, as text, that names are for, and their names; a mapping is looked up by its keys."""
    whole = unique.dtype.kind in "iu"
    values, keys = listed(names, "names of classes", ConceptsError)
    texts = None if keys is None else list(map(str, keys))
    if texts is None or not (isinstance(names, Mapping) or set(map(str, unique)) <= set(texts)):
        called = [str(value) for value in values]
        return [str(c) for c in range(len(called))] if whole else called, called
    by_number = inverted(dict(zip(texts, values, strict=True)))
    if by_number is not None and not (whole and all(text.isdecimal() for text in texts)):  # as in label2id
        ordered = sorted(by_number)
        called = [str(by_number[number]) for number in ordered]
        return [str(number) for number in ordered] if whole else called, called
    by_class = dict(zip(texts, values, strict=True))
    if whole and all(text.removeprefix("-").isdecimal() for text in texts):
        texts = sorted(texts, key=int)
    return texts, [str(by_class[text]) for text in texts]


def _of_one_type(classes: NDArray[Any]) -> NDArray[Any]:
    """An array of objects as integers or texts, if all are of the same kind."""
    texts = sum(isinstance(c, str) for c in classes)
    whole = sum(isinstance(c, int | np.integer) and not isinstance(c, bool) for c in classes)
    if texts == len(classes):
        return classes
    if whole == len(classes):
        if any(abs(int(c)) >= 2**63 for c in classes):
            raise ConceptsError("classes must be integers below 2⁶³: give larger ones as text")
        return classes.astype(np.int64)
    neither = [c for c in classes if not isinstance(c, str | int | np.integer) or isinstance(c, bool)]
    raise ConceptsError(
        f"classes must be all integers or all texts, but {texts} are text, {whole} are integers and "
        f"{len(neither)} are neither" + f" ({some(neither)})" * bool(neither) + ": give all as text, none missing"
    )


def binarize_scores(array: NDArray[Any], rules: dict[str, Any]) -> tuple[NDArray[np.bool_], dict[str, object]]:
    """Binarize scores, (n_samples, n_concepts), by the one rule that is not None; also return a record of it."""
    if array.ndim != 2 or array.dtype.kind not in "biuf":
        raise ConceptsError(f"scores must be numbers, samples × concepts, not {array.dtype} of shape {array.shape}")
    given = {rule: value for rule, value in rules.items() if value is not None}
    if len(given) != 1:
        raise OptionError(f"give exactly one of threshold, quantile and prevalence, not {some(given) or 'none'}")
    ((rule, value),) = given.items()
    n_bad = int((~np.isfinite(array)).sum())
    if n_bad:
        raise ConceptsError(
            f"{counted(n_bad, 'score')} {'is' if n_bad == 1 else 'are'} NaN or infinite: all must be finite"
        )
    try:
        wanted = np.broadcast_to(np.asarray(value, np.float64), (array.shape[1],))
    except ValueError as error:
        raise OptionError(
            f"{rule} must be one number, or one per concept ({array.shape[1]}), not of shape {np.shape(value)}"
        ) from error
    if not np.isfinite(wanted).all() or (rule != "threshold" and not ((wanted >= 0) & (wanted <= 1)).all()):
        raise OptionError(f"{rule} must be finite" + " and lie between 0 and 1" * (rule != "threshold"))
    array = array.astype(np.int8) if array.dtype.kind == "b" else array
    matrix = np.zeros(array.shape, np.bool_)
    cutoffs = []
    for c, level in enumerate(wanted.tolist()):
        column = array[:, c]
        if rule == "threshold":
            cutoff = level
            with np.errstate(over="ignore"):  # so that a float32 score of 0.7 is at least 0.7
                matrix[:, c] = column >= (column.dtype.type(cutoff) if column.dtype.kind == "f" else cutoff)
        elif rule == "quantile":
            cutoff = float(np.quantile(column, level)) if len(column) else level
            matrix[:, c] = column > cutoff
        else:
            wanted_count = round(level * len(column))
            # The highest score left out; scores tied with it are left out too.
            cutoff = float(np.sort(column)[-wanted_count - 1]) if wanted_count < len(column) else -np.inf
            matrix[:, c] = column > cutoff
        cutoffs.append(cutoff)
    return matrix, {"rule": rule, rule: wanted.tolist(), "lines": cutoffs}

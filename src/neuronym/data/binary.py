"""Reading yes-or-no values of many forms into columns: for each concept, the samples of which it is true.

Columns are a pair of int64 arrays as in a compressed sparse column matrix: ``ptr`` (n_concepts + 1,) and
``samples`` (n_yes,), where concept c is true of ``samples[ptr[c]:ptr[c + 1]]``, in ascending order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuronym._util.messages import counted, some
from neuronym.errors import ConceptsError, OptionError
from neuronym.types import Unknown

if TYPE_CHECKING:
    from scipy.sparse import csc_array

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


def as_matrix(given: Any) -> NDArray[Any]:
    """Convert to an array; masked values become None."""
    try:
        if np.ma.is_masked(given):  # masked values are unknown
            plain: NDArray[Any] = np.ma.getdata(given).astype(object)
            plain[np.ma.getmaskarray(given)] = None
            return plain
        return np.asarray(given)
    except ValueError as error:
        raise ConceptsError(
            f"concepts must be a matrix, samples × concepts, with rows of equal length: {error}"
        ) from error


def columns_of(matrix: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """The columns of a matrix, each contiguous; transposed a block at a time, which is faster than one by one."""
    for start in range(0, matrix.shape[1], 64):
        yield from np.ascontiguousarray(matrix[:, start : start + 64].T)


def columns_of_dense(
    given: Iterable[NDArray[Any]], n_samples: int, names: Sequence[object], unknown: Unknown
) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """Columns from one array of yes or no per concept, and which samples to keep."""
    keep = np.ones(n_samples, np.bool_)
    invalid: dict[int, tuple[int, object]] = {}
    parts: list[NDArray[np.intp]] = []
    for c, column in enumerate(given):
        yes, no = _is(column, 1), _is(column, 0)
        if not np.all(yes | no):
            neither = ~(yes | no)
            invalid[c] = int(neither.sum()), column[np.argmax(neither)]
            keep &= ~neither
        parts.append(np.flatnonzero(yes))
    _check_unknown(invalid, names, unknown)
    ptr = np.concatenate([np.zeros(1, np.int64), np.cumsum([len(p) for p in parts], dtype=np.int64)])
    samples = np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, np.int64)
    return ptr, samples, keep if unknown == "drop" else np.ones(n_samples, np.bool_)


def columns_of_sparse(matrix: Any, names: Sequence[object], unknown: Unknown) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """Columns of a scipy sparse matrix, and which samples to keep."""
    from scipy.sparse import csc_array

    compressed: csc_array = csc_array(matrix, copy=True)  # duplicates are summed in place
    if compressed.dtype.kind != "b":
        compressed.sum_duplicates()
    values, samples = compressed.data, compressed.indices.astype(np.int64)
    concept = np.repeat(np.arange(len(names)), np.diff(compressed.indptr))
    yes, no = _is(values, 1), _is(values, 0)
    neither = ~(yes | no)
    counts = np.bincount(concept[neither], minlength=len(names))
    first = dict(zip(concept[neither][::-1].tolist(), values[neither][::-1], strict=True))
    _check_unknown({int(c): (int(counts[c]), first[int(c)]) for c in np.flatnonzero(counts)}, names, unknown)
    ptr, kept = columns_of_pairs(concept[yes], samples[yes], len(names))
    keep = np.ones(compressed.shape[0], np.bool_)
    if unknown == "drop":
        keep[samples[neither]] = False
    return ptr, kept, keep


def _is(column: NDArray[Any], value: int) -> NDArray[np.bool_]:
    """Which entries equal 0 or 1; text never does."""
    if column.dtype.kind == "O":
        return np.fromiter(
            (isinstance(x, (bool, int, float, np.generic)) and bool(x == value) for x in column), np.bool_, len(column)
        )
    if column.dtype.kind in "biuf":
        return np.asarray(column == value, np.bool_)
    return np.zeros(len(column), np.bool_)


def _check_unknown(invalid: dict[int, tuple[int, object]], names: Sequence[object], unknown: Unknown) -> None:
    """Raise if values are invalid, given as the number and an example per concept, and ``unknown`` is "error"."""
    if unknown not in ("error", "no", "drop"):
        raise OptionError(f"unknown must be 'error', 'no' or 'drop', not {unknown!r}")
    if invalid and unknown == "error":
        total = sum(count for count, _ in invalid.values())
        examples = ", ".join(
            f"{names[c]!r}: {count}, such as {f'the text {value!r}' if isinstance(value, str) else value}"
            for c, (count, value) in list(invalid.items())[:3]
        )
        raise ConceptsError(
            f"concepts must be yes or no (True/False or 1/0), but {counted(total, 'value')} in "
            f"{counted(len(invalid), 'concept')} {'are' if total > 1 else 'is'} neither ({examples}): count them as no "
            "with unknown='no', leave those samples out with unknown='drop', or use Concepts.from_scores"
        )


def columns_of_long(
    samples: Iterable[object], concepts: Iterable[object], sample_ids: Iterable[object] | None
) -> tuple[Ints, Ints, list[str], list[str]]:
    """Columns, names and sample ids of a long table; an empty or missing concept only records a sample."""
    import pandas as pd

    rows, names = pd.Series(list(samples), dtype=object), pd.Series(list(concepts), dtype=object)
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
    listed = list(dict.fromkeys(texts)) if sample_ids is None else [str(i) for i in sample_ids]
    place = {sample: row for row, sample in enumerate(listed)}
    lost = [sample for sample in dict.fromkeys(texts) if sample not in place]
    if lost:
        raise ConceptsError(f"sample_ids lacks {counted(len(lost), 'sample')} of the long table ({some(lost)})")
    shown = ~(names.isna() | (names == "")).to_numpy(dtype=bool)
    code, unique = pd.factorize(names[shown].map(str))
    row = np.fromiter((place[sample] for sample in texts), np.int64, len(texts))
    ptr, yes = columns_of_pairs(code, row[shown], len(unique))
    return ptr, yes, [str(name) for name in unique], listed


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
    members = [{str(name) for name in s} for s in sets]
    names = sorted(set().union(*members))
    place = {name: c for c, name in enumerate(names)}
    pairs = [(place[name], row) for row, shown in enumerate(members) for name in shown]
    table = np.array(pairs, np.int64).reshape(-1, 2)
    ptr, samples = columns_of_pairs(table[:, 0], table[:, 1], len(names))
    return ptr, samples, names


def columns_of_classes(array: NDArray[Any], names: Iterable[object] | None) -> tuple[Ints, Ints, list[str]]:
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
    listed = [str(u) for u in unique] if names is None else [str(name) for name in names]
    if names is not None and array.dtype.kind in "iu":
        if len(unique) and not 0 <= int(unique[0]) <= int(unique[-1]) < len(listed):
            raise ConceptsError(
                f"classes run from {unique[0]} to {unique[-1]}, but the {len(listed)} names allow only 0 to "
                f"{len(listed) - 1}"
            )
        code = array.astype(np.int64)
    elif names is not None:
        place = {name: c for c, name in enumerate(listed)}
        lost = [str(u) for u in unique if str(u) not in place]
        if lost:
            raise ConceptsError(f"the names lack {counted(len(lost), 'class')} ({some(lost)})")
        code = np.array([place[str(u)] for u in unique], np.int64)[code]
    ptr, samples = columns_of_pairs(code, np.arange(len(array)), len(listed))
    return ptr, samples, listed


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

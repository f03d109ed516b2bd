"""The command ``neuronym report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neuronym.errors import OptionError

__all__ = ["REPORT_EXAMPLES", "report_command"]

REPORT_EXAMPLES = """\b
Examples:
  neuronym report labels.csv --activations acts.zarr/layer4 --concepts concepts.parquet --samples photos/ --out report
  neuronym report labels.csv --activations acts.zarr --concepts concepts.parquet --wordnet --circuit circuit.json
"""


def report_command(
    labels: Annotated[Path, typer.Argument(metavar="LABELS", help="Labels: .csv, .parquet or .json.")],
    activations: Annotated[
        Path | None, typer.Option(help="Those that were labelled: store.zarr, store.zarr/LAYER, .npy, .npz, .csv, …")
    ] = None,
    concepts: Annotated[Path | None, typer.Option(help="Those of the labels: .csv or .parquet.")] = None,
    samples: Annotated[
        Path | None, typer.Option(help="A folder of images, or a table: sample,text, or rows to show.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder to write.")] = Path("report"),
    wordnet: Annotated[bool, typer.Option("--wordnet", help="Tell parents, children and depth by WordNet.")] = False,
    hierarchy: Annotated[Path | None, typer.Option(help="Tell them by a table child,parent.")] = None,
    other: Annotated[Path | None, typer.Option(help="A second set of labels, set beside the first.")] = None,
    circuit: Annotated[list[Path] | None, typer.Option(help="A circuit.json to show; may be given again.")] = None,
    findings: Annotated[Path | None, typer.Option(help="The folder that neuronym spurious wrote.")] = None,
    title: Annotated[str, typer.Option(help="Of the page.")] = "Neurons",
    n_samples: Annotated[int, typer.Option(help="Samples of each kind shown for a neuron.")] = 12,
    seed: Annotated[int, typer.Option(help="The seed of random draws.")] = 0,
    n_jobs: Annotated[int, typer.Option(help="Thumbnails made at once; -1 is one per processor.")] = -1,
    align: Annotated[bool, typer.Option("--align", help="Keep the samples that both tables have.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a report that is there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress.")] = False,
) -> None:
    """Write a page to browse the neurons: a folder whose index.html opens in any browser, with no server."""
    from neuronym.analysis.circuits.graph import open_circuit
    from neuronym.analysis.spurious.findings import open_findings
    from neuronym.data.hierarchy import Hierarchy
    from neuronym.io.files import open_concepts
    from neuronym.report.page import report

    if wordnet and hierarchy is not None:
        raise OptionError("give one of --wordnet and --hierarchy")
    page = report(
        labels,
        out,
        activations=None if activations is None else str(activations),
        concepts=None if concepts is None else open_concepts(concepts),
        samples=samples,
        hierarchy=Hierarchy.imagenet() if wordnet else hierarchy,
        other=other,
        circuits=[open_circuit(path) for path in circuit or ()],
        findings=None if findings is None else open_findings(findings),
        title=title,
        n_samples=n_samples,
        seed=seed,
        n_jobs=n_jobs,
        align=align,
        overwrite=overwrite,
        progress=not quiet,
    )
    if not quiet:
        print(f"open {page} in a browser")

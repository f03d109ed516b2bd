"""The command ``neuronym concepts``: from a data set in its usual form to a file of concepts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from neuronym.cli.options import OVERWRITE, WORDNET, hierarchy_of, mirrors
from neuronym.cli.printing import new_app
from neuronym.data.concepts import Concepts
from neuronym.errors import OptionError
from neuronym.io.files import open_concepts
from neuronym.io.sources import (
    from_annotations,
    from_coco,
    from_imagefolder,
    from_regex,
    from_scores,
    from_table,
    from_tokens,
)

__all__ = ["app"]

app = new_app(help="Make a file of concepts from a data set, and look at one.", no_args_is_help=True)

_EXAMPLE = "\b\nExample:\n  "
_OUT = Annotated[Path, typer.Option(help="Save the concepts as .parquet.")]
_COUNT = {
    "min_count": Annotated[int, typer.Option(help="Keep only concepts that at least this many samples show.")],
    "overwrite": OVERWRITE,
}
_ABOVE = {
    "hierarchy": Annotated[Path | None, typer.Option(help="A table child,parent of concepts to add.")],
    "min_classes": Annotated[int, typer.Option(help="Add only concepts above at least this many.")],
    "ids": Annotated[bool, typer.Option("--ids", help="Keep WordNet's ids instead of readable names.")],
    **_COUNT,
}
_WORDNET = {
    "wordnet": WORDNET,
    "wordnet_files": Annotated[
        Path | None, typer.Option("--wordnet-files", help="The folder with another WordNet's data.noun.")
    ],
}


@app.command("imagefolder", epilog=_EXAMPLE + "neuronym concepts imagefolder photos/ --wordnet --out concepts.parquet")
@mirrors(from_imagefolder, _ABOVE, _WORDNET)
def imagefolder_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder with a subfolder of images per class.")],
    out: _OUT,
    **options: Any,
) -> None:
    """Take one class per subfolder."""
    hierarchy_of(options)
    _print(from_imagefolder(folder, out=out, **options), out)


@app.command(
    "annotations",
    epilog=_EXAMPLE + "neuronym concepts annotations val_annotations.txt --wordnet --out concepts.parquet",
)
@mirrors(from_annotations, _ABOVE, _WORDNET)
def annotations_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Lines of sample and class, separated by tabs.")],
    out: _OUT,
    **options: Any,
) -> None:
    """Take one class per line, as in Tiny ImageNet's val_annotations.txt."""
    hierarchy_of(options)
    _print(from_annotations(file, out=out, **options), out)


_TABLE = {
    "attributes": Annotated[
        bool, typer.Option("--attributes", help="Columns hold categories: make concepts attribute=value.")
    ],
    "unknown": Annotated[
        Literal["error", "no", "drop"], typer.Option(help="What to do with values that are neither yes nor no.")
    ],
    **_ABOVE,
}


@app.command("table", epilog=_EXAMPLE + "neuronym concepts table attributes.csv --attributes --out concepts.parquet")
@mirrors(from_table, _TABLE, _WORDNET)
def table_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A table, .csv or .parquet: long or multi-hot.")],
    out: _OUT,
    **options: Any,
) -> None:
    """Take a table of concepts, or of attributes with categories."""
    hierarchy_of(options)
    _print(from_table(file, out=out, **options), out)


_COCO = {
    "supercategories": Annotated[
        bool, typer.Option("--supercategories/--no-supercategories", help="Add the supercategories.")
    ],
    **_COUNT,
}


@app.command("coco", epilog=_EXAMPLE + "neuronym concepts coco instances_val2017.json --out concepts.parquet")
@mirrors(from_coco, _COCO)
def coco_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="COCO's instances, .json.")], out: _OUT, **options: Any
) -> None:
    """Take the categories present in each image of COCO."""
    _print(from_coco(file, out=out, **options), out)


_SCORES = {
    "threshold": Annotated[float | None, typer.Option(help="Yes where the score is at least this.")],
    "quantile": Annotated[float | None, typer.Option(help="Yes above this quantile of the concept's scores.")],
    "prevalence": Annotated[float | None, typer.Option(help="Yes for this share of samples, the highest.")],
    **_COUNT,
}


@app.command("scores", epilog=_EXAMPLE + "neuronym concepts scores clip.csv --prevalence 0.05 --out concepts.parquet")
@mirrors(from_scores, _SCORES)
def scores_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Samples × concepts: .npy, .npz, .csv or .parquet.")],
    out: _OUT,
    **options: Any,
) -> None:
    """Turn the scores of a tagger, or similarities of CLIP, into yes and no."""
    _print(from_scores(file, out=out, **options), out)


@app.command(
    "regex",
    epilog=_EXAMPLE + "neuronym concepts regex tokens.csv --pattern 'number=^[0-9]+$' --out concepts.parquet",
)
@mirrors(from_regex, _COUNT)
def regex_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A table of texts or tokens, sample,text.")],
    out: _OUT,
    pattern: Annotated[list[str], typer.Option(help="NAME=REGEX: a concept of the texts in which it is found.")],
    **options: Any,
) -> None:
    """Find regular expressions in texts or in tokens."""
    named = [one.partition("=") for one in pattern]
    wrong = [one for one, (name, equals, _) in zip(pattern, named, strict=True) if not (name and equals)]
    if wrong:
        raise OptionError(f"--pattern must be NAME=REGEX, not {wrong[0]!r}")
    patterns = {name: expression for name, _, expression in named}
    if len(patterns) < len(named):
        raise OptionError("two patterns have one name: each needs its own")
    _print(from_regex(file, patterns, out=out, **options), out)


@app.command("tokens", epilog=_EXAMPLE + "neuronym concepts tokens texts.parquet tokens.csv --out concepts.parquet")
@mirrors(from_tokens, _COUNT)
def tokens_command(
    concepts: Annotated[Path, typer.Argument(metavar="CONCEPTS", help="Concepts of texts: .csv or .parquet.")],
    file: Annotated[Path, typer.Argument(metavar="TOKENS", help="A table sample,parent: each token and its text.")],
    out: _OUT,
    **options: Any,
) -> None:
    """Spread the concepts of texts to their tokens."""
    _print(from_tokens(concepts, file, out=out, **options), out)


@app.command("show", epilog=_EXAMPLE + "neuronym concepts show concepts.parquet")
def show_command(file: Annotated[Path, typer.Argument(metavar="FILE", help="Concepts: .csv or .parquet.")]) -> None:
    """Show how many concepts there are, the most frequent, those that are equal, and how many rows differ."""
    print(open_concepts(file).describe())


def _print(concepts: Concepts, out: Path) -> None:
    print(concepts.describe())
    print(f"saved in {out}")

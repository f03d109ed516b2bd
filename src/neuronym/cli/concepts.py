"""The command ``neuronym concepts``, which makes a file of concepts from a data set in its usual form."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from neuronym.cli.options import OVERWRITE, WORDNET, hierarchy_of, listed, mirrors, parsed
from neuronym.cli.printing import new_app, say
from neuronym.data.concepts import Concepts
from neuronym.errors import OptionError
from neuronym.io import (
    from_annotations,
    from_coco,
    from_imagefolder,
    from_regex,
    from_scores,
    from_table,
    from_tags,
    from_tokens,
)
from neuronym.io.files import open_concepts

__all__ = ["app"]

app = new_app(help="Make a file of concepts from a data set, or inspect one.", no_args_is_help=True)

_EXAMPLE = "\b\nExample:\n  "
_OUT = Annotated[Path, typer.Option(help="Save the concepts as .parquet.")]
_COUNT = {
    "min_count": Annotated[int, typer.Option(help="Keep only concepts of at least this many samples.")],
    "overwrite": OVERWRITE,
}
_ABOVE = {
    "hierarchy": Annotated[Path | None, typer.Option(help="Add the concepts above these in a table child,parent.")],
    "min_classes": Annotated[int, typer.Option(help="Add only concepts above at least this many of these.")],
    "ids": Annotated[bool, typer.Option("--ids", help="Keep WordNet's ids instead of readable names.")],
    **_COUNT,
}
_WORDNET = {
    "wordnet": WORDNET,
    "wordnet_files": Annotated[
        Path | None, typer.Option("--wordnet-files", help="Use another WordNet: a folder with its data.noun.")
    ],
}


_SEPARATOR = Annotated[str | None, typer.Option(help="The text between several labels in a cell, such as '|'.")]
_ID_COLUMN = Annotated[str | None, typer.Option("--id-column", help="The column of sample ids.")]
_LIST = {
    "header": Annotated[
        bool | None, typer.Option("--header/--no-header", help="Whether the first line names the columns.")
    ],
    "separator": _SEPARATOR,
    **_ABOVE,
}


@app.command("imagefolder", epilog=_EXAMPLE + "neuronym concepts imagefolder photos/ --wordnet --out concepts.parquet")
@mirrors(from_imagefolder, _ABOVE, _WORDNET)
def imagefolder_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder with one subfolder of images per class.")],
    out: _OUT,
    **options: Any,
) -> None:
    """Read one class per subfolder."""
    hierarchy_of(options)
    _print(from_imagefolder(folder, out=out, **options), out)


@app.command(
    "annotations",
    epilog=_EXAMPLE + "neuronym concepts annotations val_annotations.txt --wordnet --out concepts.parquet",
)
@mirrors(from_annotations, _LIST, _WORDNET)
def annotations_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Lines of sample and class.")],
    out: _OUT,
    **options: Any,
) -> None:
    """Read one sample and its class per line, as in Tiny ImageNet's val_annotations.txt."""
    hierarchy_of(options)
    _print(from_annotations(file, out=out, **options), out)


_TABLE = {
    "attributes": Annotated[
        bool,
        typer.Option("--attributes", help="Columns are attributes: make a concept attribute=value of each category."),
    ],
    "separator": _SEPARATOR,
    "columns": Annotated[
        Any, typer.Option(help="Read only these columns, separated by commas.", **parsed(listed, "COLUMNS"))
    ],
    "id_column": _ID_COLUMN,
    "unknown": Annotated[
        Literal["error", "no", "drop"], typer.Option(help="How to handle values that are neither yes nor no.")
    ],
    "blank": Annotated[
        Literal["error", "no", "drop"] | None, typer.Option(help="How to handle empty cells; default: as --unknown.")
    ],
    "negative": Annotated[
        Literal["error", "no", "yes", "drop"] | None, typer.Option(help="How to handle −1; default: as --unknown.")
    ],
    **_ABOVE,
}


@app.command("table", epilog=_EXAMPLE + "neuronym concepts table attributes.csv --attributes --out concepts.parquet")
@mirrors(from_table, _TABLE, _WORDNET)
def table_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A table: .csv, .tsv, .txt or .parquet.")],
    out: _OUT,
    **options: Any,
) -> None:
    """Read a table of concepts, of labels in a column, or of attributes with categories."""
    hierarchy_of(options)
    _print(from_table(file, out=out, **options), out)


_COCO = {
    "supercategories": Annotated[
        bool, typer.Option("--supercategories/--no-supercategories", help="Add the supercategories as concepts.")
    ],
    **_COUNT,
}


@app.command("coco", epilog=_EXAMPLE + "neuronym concepts coco instances_val2017.json --out concepts.parquet")
@mirrors(from_coco, _COCO)
def coco_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A COCO instances file, .json.")],
    out: _OUT,
    **options: Any,
) -> None:
    """Read the categories present in each image of a COCO instances file."""
    _print(from_coco(file, out=out, **options), out)


_SCORES = {
    "id_column": _ID_COLUMN,
    "threshold": Annotated[float | None, typer.Option(help="Present if the score is at least this.")],
    "quantile": Annotated[float | None, typer.Option(help="Present above this quantile of the concept's scores.")],
    "prevalence": Annotated[
        float | None, typer.Option(help="Present in this share of samples, those with the highest scores.")
    ],
    **_COUNT,
}


@app.command("scores", epilog=_EXAMPLE + "neuronym concepts scores clip.csv --prevalence 0.05 --out concepts.parquet")
@mirrors(from_scores, _SCORES)
def scores_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Samples × concepts: .npy, .npz, .csv or .parquet.")],
    out: _OUT,
    **options: Any,
) -> None:
    """Turn scores, such as those of a tagger or CLIP similarities, into concepts that are present or absent."""
    _print(from_scores(file, out=out, **options), out)


@app.command(
    "regex",
    epilog=_EXAMPLE + "neuronym concepts regex tokens.csv --pattern 'number=^[0-9]+$' --out concepts.parquet",
)
@mirrors(from_regex, _COUNT)
def regex_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A table of texts or tokens, sample,text.")],
    out: _OUT,
    pattern: Annotated[
        list[str], typer.Option(help="NAME=REGEX: a concept present where the expression matches; can be repeated.")
    ],
    **options: Any,
) -> None:
    """Make one concept per regular expression, present in the texts or tokens in which it matches."""
    parts = [text.partition("=") for text in pattern]
    invalid = [text for text, (name, equals, _) in zip(pattern, parts, strict=True) if not (name and equals)]
    if invalid:
        raise OptionError(f"--pattern must be NAME=REGEX, not {invalid[0]!r}")
    patterns = {name: expression for name, _, expression in parts}
    if len(patterns) < len(parts):
        raise OptionError("two patterns have the same name: give each its own")
    _print(from_regex(file, patterns, out=out, **options), out)


@app.command("tokens", epilog=_EXAMPLE + "neuronym concepts tokens texts.parquet tokens.csv --out concepts.parquet")
@mirrors(from_tokens, _COUNT)
def tokens_command(
    concepts: Annotated[Path, typer.Argument(metavar="CONCEPTS", help="Concepts of texts: .csv or .parquet.")],
    file: Annotated[
        Path, typer.Argument(metavar="TOKENS", help="A table sample,parent: the id of each token and of its text.")
    ],
    out: _OUT,
    **options: Any,
) -> None:
    """Give each token the concepts of its text."""
    _print(from_tokens(concepts, file, out=out, **options), out)


_TAGS = {
    "column": Annotated[
        str | None,
        typer.Option(
            help="Column of the tags: a number from 1, or a name of CoNLL-U; by default the last, or upos in CoNLL-U."
        ),
    ],
    "prefixes": Annotated[bool, typer.Option("--prefixes", help="Keep the prefixes B- and I- in names of concepts.")],
    "texts": Annotated[
        Path | None,
        typer.Option(help="Texts of the tokens, a table sample,text; by default the words joined by spaces."),
    ],
    **_COUNT,
}


@app.command("tags", epilog=_EXAMPLE + "neuronym concepts tags train.conll tokens.csv --out concepts.parquet")
@mirrors(from_tags, _TAGS)
def tags_command(
    tags: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A CoNLL file: lines of a word and its tags."),
    ],
    tokens: Annotated[
        Path, typer.Argument(metavar="TOKENS", help="The tokens of these sentences, from collect --tokens-out.")
    ],
    out: _OUT,
    **options: Any,
) -> None:
    """Give each token the tag of its word, such as a part of speech or a named entity."""
    _print(from_tags(tags, tokens, out=out, **options), out)


@app.command("show", epilog=_EXAMPLE + "neuronym concepts show concepts.parquet")
def show_command(file: Annotated[Path, typer.Argument(metavar="FILE", help="Concepts: .csv or .parquet.")]) -> None:
    """Show how many concepts there are, which are most frequent, which are equal, and how many rows are distinct."""
    say(open_concepts(file).describe())


def _print(concepts: Concepts, out: Path) -> None:
    say(concepts.describe(), f"saved in {out}")

"""The command ``neuronym concepts``: from a data set as it comes to a file of concepts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neuronym._util.files import check_target, kind_of
from neuronym._util.messages import counted
from neuronym.data.ids import counted_ids
from neuronym.errors import OptionError

if TYPE_CHECKING:
    from neuronym.data.concepts import Concepts
    from neuronym.data.hierarchy import Hierarchy

__all__ = ["app"]

_FREQUENT, _EQUAL = 10, 5  # concepts shown

app = typer.Typer(help="Make a file of concepts from a data set, and look at one.", no_args_is_help=True)

_OUT = Annotated[Path, typer.Option(help="Save the concepts as .parquet.")]
_OVERWRITE = Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")]
_WORDNET = Annotated[bool, typer.Option("--wordnet", help="Add WordNet's concepts above the classes of ImageNet.")]
_FILES = Annotated[Path | None, typer.Option("--wordnet-files", help="The folder with another WordNet's data.noun.")]
_HIERARCHY = Annotated[Path | None, typer.Option(help="A table child,parent of concepts to add.")]
_CLASSES = Annotated[int, typer.Option(help="Add only concepts above at least so many.")]
_COUNT = Annotated[int, typer.Option(help="Keep only concepts that at least so many samples show.")]
_IDS = Annotated[bool, typer.Option("--ids", help="Keep WordNet's ids instead of readable names.")]


@app.command(epilog="\b\nExample:\n  neuronym concepts imagefolder photos/ --wordnet --out concepts.parquet")
def imagefolder(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder with a subfolder of images per class.")],
    out: _OUT,
    overwrite: _OVERWRITE = False,
    wordnet: _WORDNET = False,
    wordnet_files: _FILES = None,
    hierarchy: _HIERARCHY = None,
    min_classes: _CLASSES = 2,
    min_count: _COUNT = 1,
    ids: _IDS = False,
) -> None:
    """Take one class per subfolder."""
    from neuronym.io.sources import from_imagefolder

    _check(out, overwrite)
    above = _above(wordnet, wordnet_files, hierarchy)
    _finish(from_imagefolder(folder), out, overwrite, above, min_classes, min_count, ids)


@app.command(
    "annotations",
    epilog="\b\nExample:\n  neuronym concepts annotations val_annotations.txt --wordnet --out concepts.parquet",
)
def annotations_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Lines of sample and class, separated by tabs.")],
    out: _OUT,
    overwrite: _OVERWRITE = False,
    wordnet: _WORDNET = False,
    wordnet_files: _FILES = None,
    hierarchy: _HIERARCHY = None,
    min_classes: _CLASSES = 2,
    min_count: _COUNT = 1,
    ids: _IDS = False,
) -> None:
    """Take one class per line, as in Tiny ImageNet's val_annotations.txt."""
    from neuronym.io.sources import from_annotations

    _check(out, overwrite)
    above = _above(wordnet, wordnet_files, hierarchy)
    _finish(from_annotations(file), out, overwrite, above, min_classes, min_count, ids)


@app.command(epilog="\b\nExample:\n  neuronym concepts table attributes.csv --attributes --out concepts.parquet")
def table(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A table, .csv or .parquet: long or multi-hot.")],
    out: _OUT,
    overwrite: _OVERWRITE = False,
    attributes: Annotated[
        bool, typer.Option("--attributes", help="Columns hold categories: make concepts attribute=value.")
    ] = False,
    wordnet: _WORDNET = False,
    wordnet_files: _FILES = None,
    hierarchy: _HIERARCHY = None,
    min_classes: _CLASSES = 2,
    min_count: _COUNT = 1,
    ids: _IDS = False,
) -> None:
    """Take a table of concepts, or of attributes with categories."""
    from neuronym.io.files import open_concepts
    from neuronym.io.sources import open_attributes

    _check(out, overwrite)
    above = _above(wordnet, wordnet_files, hierarchy)
    found = open_attributes(file) if attributes else open_concepts(file)
    _finish(found, out, overwrite, above, min_classes, min_count, ids)


@app.command(epilog="\b\nExample:\n  neuronym concepts coco instances_val2017.json --out concepts.parquet")
def coco(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="COCO's instances, .json.")],
    out: _OUT,
    overwrite: _OVERWRITE = False,
    supercategories: Annotated[
        bool, typer.Option("--supercategories/--no-supercategories", help="Add the supercategories.")
    ] = True,
    min_count: _COUNT = 1,
) -> None:
    """Take the categories present in each image of COCO."""
    from neuronym.io.sources import from_coco

    _check(out, overwrite)
    _finish(from_coco(file, supercategories=supercategories), out, overwrite, None, 1, min_count, True)


@app.command(epilog="\b\nExample:\n  neuronym concepts scores clip.csv --prevalence 0.05 --out concepts.parquet")
def scores(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Samples × concepts: .npy, .npz, .csv or .parquet.")],
    out: _OUT,
    overwrite: _OVERWRITE = False,
    threshold: Annotated[float | None, typer.Option(help="Yes where the score is at least this.")] = None,
    quantile: Annotated[float | None, typer.Option(help="Yes above this quantile of the concept's scores.")] = None,
    prevalence: Annotated[float | None, typer.Option(help="Yes for this share of samples, the highest.")] = None,
    min_count: _COUNT = 1,
) -> None:
    """Make the scores of a tagger, or similarities of CLIP, yes or no."""
    from neuronym.data.concepts import Concepts
    from neuronym.io.files import open_activations

    _check(out, overwrite)
    opened = open_activations(file)
    found = Concepts.from_scores(
        opened.matrix,
        opened.names,
        threshold=threshold,
        quantile=quantile,
        prevalence=prevalence,
        sample_ids=opened.sample_ids,
    )
    _finish(found, out, overwrite, None, 1, min_count, True)


@app.command(
    epilog="\b\nExample:\n  neuronym concepts regex tokens.csv --pattern 'number=^[0-9]+$' --out concepts.parquet"
)
def regex(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A table of texts or tokens, sample,text.")],
    out: _OUT,
    pattern: Annotated[list[str], typer.Option(help="NAME=REGEX: a concept of the texts in which it is found.")],
    overwrite: _OVERWRITE = False,
    min_count: _COUNT = 1,
) -> None:
    """Find regular expressions in texts or in tokens."""
    from neuronym.io.sources import from_regex
    from neuronym.io.texts import open_texts

    _check(out, overwrite)
    named = [one.partition("=") for one in pattern]
    wrong = [one for one, (name, equals, _) in zip(pattern, named, strict=True) if not (name and equals)]
    if wrong:
        raise OptionError(f"--pattern must be NAME=REGEX, not {wrong[0]!r}")
    ids, texts = open_texts(file)
    patterns = {name: expression for name, _, expression in named}
    if len(patterns) < len(named):
        raise OptionError("two patterns have one name: each needs its own")
    _finish(from_regex(texts, patterns, sample_ids=ids), out, overwrite, None, 1, min_count, True)


@app.command(epilog="\b\nExample:\n  neuronym concepts tokens texts.parquet tokens.csv --out concepts.parquet")
def tokens(
    concepts: Annotated[Path, typer.Argument(metavar="CONCEPTS", help="Concepts of texts: .csv or .parquet.")],
    file: Annotated[Path, typer.Argument(metavar="TOKENS", help="A table sample,parent: each token and its text.")],
    out: _OUT,
    overwrite: _OVERWRITE = False,
    min_count: _COUNT = 1,
) -> None:
    """Spread the concepts of texts to their tokens."""
    from neuronym.io.files import open_concepts
    from neuronym.io.texts import open_parents

    _check(out, overwrite)
    ids, parents = open_parents(file)
    shown = open_concepts(concepts)
    if shown.sample_ids is None:
        shown = shown.with_ids(counted_ids(shown.n_samples))
    _finish(shown.to_tokens(ids, parents), out, overwrite, None, 1, min_count, True)


@app.command(epilog="\b\nExample:\n  neuronym concepts show concepts.parquet")
def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Concepts: .csv or .parquet.")],
) -> None:
    """Show how many concepts there are, the most frequent, those that are equal, and how many rows differ."""
    from neuronym.io.files import open_concepts

    describe(open_concepts(file))


def describe(concepts: Concepts) -> None:
    """Print the size of concepts, the most frequent ones, equal ones, and the number of distinct rows."""
    import numpy as np

    from neuronym.data.groups import group

    per_sample = len(concepts.samples) / max(1, concepts.n_samples)
    print(
        f"{counted(concepts.n_samples, 'sample')} × {counted(concepts.n_concepts, 'concept')}, "
        f"{per_sample:.1f} concepts a sample"
        + (f", {group(concepts).n_groups:,} distinct rows" if concepts.n_samples else "")
    )
    order = np.argsort(-concepts.counts, kind="stable")
    for c in order[:_FREQUENT].tolist():
        print(f"{concepts.counts[c]:8d}  {concepts.names[c]}")
    if concepts.n_concepts > _FREQUENT:
        rest = concepts.counts[order[_FREQUENT:]]
        print(f"          and {counted(len(rest), 'other concept')} of {rest.min()} to {rest.max()} samples")
    equal = [f"equal: {name} = {', '.join(others)}" for name, others in concepts.merge_equal().aliases.items()]
    print("\n".join(equal[:_EQUAL]), end="\n" * bool(equal))
    if len(equal) > _EQUAL:
        print(f"       and {len(equal) - _EQUAL} more")


def _check(out: Path, overwrite: bool) -> None:
    """Refuse what cannot be written before the work, not after it."""
    kind_of(out, (".parquet",), "saved concepts")
    check_target(out, overwrite)


def _above(wordnet: bool, wordnet_files: Path | None, hierarchy: Path | None) -> Hierarchy | None:
    from neuronym.data.hierarchy import Hierarchy

    if wordnet + (wordnet_files is not None) + (hierarchy is not None) > 1:
        raise OptionError("give one of --wordnet, --wordnet-files and --hierarchy")
    if wordnet:
        return Hierarchy.imagenet()
    if wordnet_files is not None:
        return Hierarchy.from_wordnet(wordnet_files)
    return None if hierarchy is None else Hierarchy.from_csv(hierarchy)


def _finish(
    concepts: Concepts,
    out: Path,
    overwrite: bool,
    above: Hierarchy | None,
    min_classes: int,
    min_count: int,
    ids: bool,
) -> None:
    """Add what lies above, prune, name, save, and say what there is."""
    from neuronym.io.files import save_concepts

    if above is not None:
        expanded = concepts.expand(above, min_concepts=min_classes)
        if expanded.n_concepts == concepts.n_concepts and not set(concepts.names) & set(above.parents):
            raise OptionError(
                f"the hierarchy knows none of the concepts, such as {concepts.names[0]!r}"
                if concepts.n_concepts
                else "there are no concepts to put into a hierarchy"
            )
        concepts = expanded
    concepts = concepts.prune(min_count)
    if above is not None and not ids:
        concepts = concepts.rename(above.readable(concepts.names))
    save_concepts(concepts, out, overwrite=overwrite)
    describe(concepts)
    print(f"saved in {out}")

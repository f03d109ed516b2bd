"""The commands ``neuronym collect`` and ``neuronym layers``: from a model and a data set to a store of activations."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from neuronym._util.files import check_target, first_line, kind_of
from neuronym._util.messages import counted, some
from neuronym.cli.shared import MODEL, MODEL_ERRORS, WEIGHTS, keep_memory, listed, need_torch, told
from neuronym.errors import OptionError

if TYPE_CHECKING:
    from neuronym.network.models import LoadedModel

__all__ = ["COLLECT_EXAMPLES", "LAYERS_EXAMPLES", "collect_command", "layers_command", "samples_of"]

COLLECT_EXAMPLES = """\b
Examples:
  neuronym collect --model efficientnet-lite0 --layers _avg_pooling,_fc --images photos/ --out acts.zarr
  neuronym collect --model mymodels:make --weights best.pt --layers layer4 --images photos/ --out acts.zarr
  neuronym collect --model hf:bert-base-uncased --layers encoder.layer.11 --texts texts.csv --tokens --out acts.zarr
"""
LAYERS_EXAMPLES = """\b
Examples:
  neuronym layers --model efficientnet-lite0
  neuronym layers --model mymodels:make --shape 16
"""


def collect_command(
    model: MODEL,
    layers: Annotated[str, typer.Option(help="Names of modules, separated by commas; neuronym layers lists them.")],
    out: Annotated[Path, typer.Option(help="The store to write, .zarr; a run that was stopped goes on.")],
    images: Annotated[Path | None, typer.Option(help="A folder of images, with its subfolders.")] = None,
    texts: Annotated[Path | None, typer.Option(help="A table sample,text: .csv or .parquet.")] = None,
    table: Annotated[Path | None, typer.Option(help="A table of numbers: .npy, .npz, .csv or .parquet.")] = None,
    weights: WEIGHTS = None,
    pool: Annotated[
        Literal["mean", "max", "first", "last"], typer.Option(help="How maps and sequences become one number.")
    ] = "mean",
    tokens: Annotated[bool, typer.Option("--tokens", help="Each token of a sequence is a sample.")] = False,
    tokens_out: Annotated[
        Path | None, typer.Option(help="Save the tokens of texts, sample,parent,text: .csv or .parquet.")
    ] = None,
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Leave out images that cannot be read, and name them.")
    ] = False,
    device: Annotated[str | None, typer.Option(help="Where to run: cpu, cuda, mps.")] = None,
    precision: Annotated[
        Literal["float32", "bfloat16", "float16"], typer.Option(help="Other than float32: mixed precision.")
    ] = "float32",
    batch_size: Annotated[int | None, typer.Option(help="Samples in a batch; 8 on a CPU, 64 elsewhere.")] = None,
    workers: Annotated[int, typer.Option(help="Processes that load images.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a store that is there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress.")] = False,
) -> None:
    """Run a model over images, texts or a table, and store what its layers give."""
    if sum(given is not None for given in (images, texts, table)) != 1:
        raise OptionError("give one of --images, --texts and --table")
    need_torch()
    keep_memory()
    from neuronym.io.texts import save_tokens
    from neuronym.network.collecting import collect
    from neuronym.network.models import load_model

    loaded = load_model(model, weights)
    data, ids = samples_of(loaded, images, texts, table, skip_unreadable, batch_size)
    if tokens_out is not None:
        if texts is None:
            raise OptionError("--tokens-out goes with --texts")
        kind_of(tokens_out, (".csv", ".parquet"), "tokens")
        check_target(tokens_out, True)
    found = told(
        collect,
        loaded.model,
        data,
        layers=listed(layers),
        out=out,
        pool=pool,
        tokens=tokens,
        device=device,
        precision=precision,
        batch_size=batch_size,
        workers=workers,
        sample_ids=ids,
        about={"model": loaded.name, "preprocessing": "none" if table is not None else loaded.preprocessing},
        overwrite=overwrite,
        progress=not quiet,
    )
    if tokens_out is not None:
        save_tokens(data.tokens(ids), tokens_out, overwrite=overwrite)
    for layer, activations in found.items():
        skipped = activations.skipped
        if not quiet:
            print(f"{out}/{layer}: {counted(activations.n_samples, 'sample')} × {activations.n_neurons} neurons")
    if skipped:
        warnings.warn(f"{counted(len(skipped), 'image')} could not be read: {some(skipped, 20)}", stacklevel=1)


def samples_of(
    loaded: LoadedModel, images: Path | None, texts: Path | None, table: Path | None, skip: bool, batch_size: int | None
) -> tuple[Any, Any]:
    """The samples for a model, and their ids."""
    if loaded.reads_text is not (texts is not None) and table is None:
        reads, option = ("texts", "--texts") if loaded.reads_text else ("images", "--images")
        raise OptionError(f"{loaded.name} reads {reads}: give {option}")
    if images is not None:
        from neuronym.io.images import Images

        data = Images(images, loaded.prepare, skip_unreadable=skip)
        return data, data.sample_ids
    if texts is not None:
        from neuronym.io.texts import Texts, open_texts

        ids, listed = open_texts(texts)
        longest = getattr(getattr(loaded.model, "config", None), "max_position_embeddings", None)
        return Texts(listed, loaded.prepare, batch_size=batch_size or 8, max_length=longest), ids
    import numpy as np

    from neuronym.io.files import open_activations

    opened = open_activations(str(table))
    return np.asarray(opened.matrix, np.float32), opened.sample_ids


def layers_command(
    model: MODEL,
    weights: WEIGHTS = None,
    shape: Annotated[
        str | None, typer.Option(help="The shape of one sample, such as 3,224,224, where it is no image or text.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the layers of a model, with the shapes that they give for one sample."""
    need_torch()
    import torch

    from neuronym.network.batches import feed
    from neuronym.network.hooks import trace_modules
    from neuronym.network.models import load_model

    loaded = load_model(model, weights)
    if shape is not None:
        if not all(side.strip().isdecimal() for side in shape.split(",")):
            raise OptionError(f"--shape must be whole numbers such as 3,224,224, not {shape!r}")
        sample: Any = torch.zeros(1, *(int(side) for side in shape.split(",")))
    elif loaded.reads_text:
        sample = loaded.prepare(["names for neurons"], return_tensors="pt")
    else:
        from PIL import Image

        sample = loaded.prepare(Image.new("RGB", (256, 256)))[None]
    try:
        found = trace_modules(loaded.model, lambda: feed(loaded.model, sample))
    except MODEL_ERRORS as error:
        asked = f"{tuple(sample.shape)}" if isinstance(sample, torch.Tensor) else "text"
        raise OptionError(
            f"{loaded.name} does not take {asked} ({first_line(error)}): give the shape of a sample with --shape"
        ) from error
    if as_json:
        print(json.dumps([one._asdict() for one in found]))
        return
    width = max((len(one.name) for one in found), default=0)
    kinds = max((len(one.kind) for one in found), default=0)
    for one in found:
        told = "not called" if not one.calls else "no tensor" if one.shape is None else " × ".join(map(str, one.shape))
        print(f"{one.name:{width}}  {one.kind:{kinds}}  {told}" + f", {one.calls} calls" * (one.calls > 1))

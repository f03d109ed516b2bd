"""Files: activations, concepts and masks, the Zarr store, tables, data sets, images, texts."""

from neuronym.data.store_files import Checked
from neuronym.io.checking import check
from neuronym.io.conll import open_tags
from neuronym.io.files import open_activations, open_concepts, save_activations, save_concepts
from neuronym.io.images import Images, Preprocess, convert_image, open_image
from neuronym.io.sources.annotations import from_annotations
from neuronym.io.sources.boxes import boxes_as_masks
from neuronym.io.sources.broden import broden_as_masks
from neuronym.io.sources.coco import coco_as_masks, from_coco
from neuronym.io.sources.datasets import from_dataset
from neuronym.io.sources.folders import from_imagefolder, image_files
from neuronym.io.sources.label_maps import label_maps_as_masks
from neuronym.io.sources.masks import open_masks
from neuronym.io.sources.tabular import from_attributes, from_scores, from_table, open_attributes
from neuronym.io.sources.textual import from_regex, from_tags, from_tokens
from neuronym.io.texts import Texts, open_class_names, open_parents, open_texts, open_tokens, save_tokens
from neuronym.io.zarr_store import LayerWriter, open_layers

__all__ = [
    "Checked",
    "Images",
    "LayerWriter",
    "Preprocess",
    "Texts",
    "boxes_as_masks",
    "broden_as_masks",
    "check",
    "coco_as_masks",
    "convert_image",
    "from_annotations",
    "from_attributes",
    "from_coco",
    "from_dataset",
    "from_imagefolder",
    "from_regex",
    "from_scores",
    "from_table",
    "from_tags",
    "from_tokens",
    "image_files",
    "label_maps_as_masks",
    "open_activations",
    "open_attributes",
    "open_class_names",
    "open_concepts",
    "open_image",
    "open_layers",
    "open_masks",
    "open_parents",
    "open_tags",
    "open_texts",
    "open_tokens",
    "save_activations",
    "save_concepts",
    "save_tokens",
]

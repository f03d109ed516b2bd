"""Concepts and masks from data sets in their usual forms: folders, annotations, tables, COCO, datasets, texts.

The functions behind the command ``neuronym concepts`` can also add the concepts above these in a hierarchy, drop rare
concepts, and save the result. Those for masks read which pixels of each photo show a concept.
"""

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

__all__ = [
    "boxes_as_masks",
    "broden_as_masks",
    "coco_as_masks",
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
    "open_attributes",
    "open_masks",
]

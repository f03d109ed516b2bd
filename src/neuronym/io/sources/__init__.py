"""Concepts from data sets in their usual forms: folders, annotation files, tables, COCO, datasets, texts.

The functions behind the command ``neuronym concepts`` can also add the concepts above these in a hierarchy, drop rare
concepts, and save the result.
"""

from neuronym.io.sources.annotations import from_annotations
from neuronym.io.sources.coco import from_coco
from neuronym.io.sources.datasets import from_dataset
from neuronym.io.sources.folders import from_imagefolder, image_files
from neuronym.io.sources.tabular import from_attributes, from_scores, from_table, open_attributes
from neuronym.io.sources.textual import from_regex, from_tags, from_tokens

__all__ = [
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
    "open_attributes",
]

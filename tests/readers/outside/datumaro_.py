"""Datumaro: imports a folder in a format; the masks of each image, polygons filled by it."""

import json
import sys
from typing import Any

from datumaro.components.annotation import AnnotationType
from datumaro.components.dataset import Dataset
from datumaro.util.mask_tools import rles_to_mask

format, folder = sys.argv[1:3]
dataset = Dataset.import_from(folder, format)
found = {}
for item in dataset:
    height, width = item.media.size
    groups: dict[Any, Any] = {}
    for number, one in enumerate(item.annotations):
        if one.type == AnnotationType.polygon:
            mask = rles_to_mask([one.points], width, height).astype(bool)
        elif one.type == AnnotationType.mask:
            mask = one.image.astype(bool)
        else:
            continue
        key = one.group or f"alone {number}"
        groups[key] = groups[key] | mask if key in groups else mask
    found[item.id] = [mask.astype(int).tolist() for mask in groups.values()]
print(json.dumps(found))

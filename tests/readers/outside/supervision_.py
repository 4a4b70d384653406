"""supervision: DetectionDataset of COCO, YOLO or VOC files; the masks of each image."""

import json
import sys
from pathlib import Path

import supervision as sv

kind, folder = sys.argv[1], Path(sys.argv[2])
if kind == "coco":
    dataset = sv.DetectionDataset.from_coco(
        str(folder / "images"), str(folder / "annotations" / "instances.json"), force_masks=True
    )
else:
    dataset = sv.DetectionDataset.from_yolo(
        str(folder / "images" / "train"),
        str(folder / "labels" / "train"),
        str(folder / "data.yaml"),
        force_masks=True,
    )
found = {}
for path, _, detections in dataset:
    masks = [] if detections.mask is None else detections.mask.astype(int).tolist()
    found[Path(path).name] = masks
print(json.dumps({"masks": found, "classes": dataset.classes}))

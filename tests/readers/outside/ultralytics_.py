"""Ultralytics: its training data set of our data.yaml; the masks of each image.

torch comes from the folder in the second argument: it is too large to be installed twice.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

os.environ |= {"YOLO_OFFLINE": "1", "YOLO_CONFIG_DIR": tempfile.mkdtemp()}
sys.path.append(sys.argv[2])

import cv2
import numpy as np
from ultralytics.data.dataset import YOLODataset
from ultralytics.data.utils import check_det_dataset

data = check_det_dataset(sys.argv[1], autodownload=False)
dataset = YOLODataset(img_path=data["train"], data=data, task="segment", augment=False)
found: dict[str, list[list[list[int]]]] = {}
for label in dataset.labels:
    height, width = label["shape"]
    found[Path(label["im_file"]).name] = masks = []
    for ring in label["segments"]:
        mask = np.zeros((height, width), np.uint8)
        cv2.fillPoly(mask, [(ring * [width, height]).astype(np.int32)], 1)  # as it does itself
        masks.append(mask.tolist())
classes = [data["names"][key] for key in sorted(data["names"])]
print(json.dumps({"masks": found, "classes": classes}))

"""pycocotools: loads a file, its masks by annToRLE, and COCOeval of it against itself."""

import json
import sys

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

path, results = sys.argv[1:3]
truth = COCO(path)
found = {}
for annotation in truth.loadAnns(truth.getAnnIds()):
    mask = truth.annToMask(annotation)
    assert mask.sum() == annotation["area"], annotation["id"]
    found[annotation["id"]] = mask.tolist()
evaluation = COCOeval(truth, truth.loadRes(results), "segm")
evaluation.evaluate()
evaluation.accumulate()
evaluation.summarize()
print(json.dumps({"masks": found, "ap": evaluation.stats[0]}))

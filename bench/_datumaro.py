"""Datumaro's side of `bench.datasets`: run by the Python of .cache/readers, prints its figures."""

import json
import resource
import sys
import time
from pathlib import Path


def main(source: str, target: str) -> None:
    from datumaro.components.dataset import Dataset

    started = time.perf_counter()
    dataset = Dataset.import_from(source, "coco_instances")
    regions = sum(len(item.annotations) for item in dataset)
    imported = time.perf_counter()
    dataset.export(target, "coco_instances", save_media=False)
    exported = time.perf_counter()
    written = sum(path.stat().st_size for path in Path(target).rglob("*.json"))
    print(
        json.dumps(
            {
                "import": imported - started,
                "export": exported - imported,
                "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "regions": regions,
                "bytes": written,
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Datumaro's side of `bench.datasets`: run by the Python of .cache/readers, prints its figures."""

import json
import resource
import sys
import time


def main(source: str, target: str) -> None:
    from datumaro.components.dataset import Dataset

    def timed(step: str) -> None:
        now = (time.perf_counter(), time.process_time())
        figures[step] = [new - old for new, old in zip(now, clock, strict=True)]
        clock[:] = now

    figures: dict[str, object] = {}
    clock = [time.perf_counter(), time.process_time()]
    dataset = Dataset.import_from(source, "coco_instances")
    regions = sum(len(item.annotations) for item in dataset)
    timed("import")
    dataset.export(f"{target}-kept", "datumaro", save_media=False)
    timed("keep")
    dataset.export(target, "coco_instances", save_media=False)
    timed("export")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({**figures, "peak": peak, "regions": regions}))


if __name__ == "__main__":
    main(*sys.argv[1:])

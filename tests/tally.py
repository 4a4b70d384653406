"""Adds up the JUnit files of a test run: `python -m tests.tally FOLDER`.

Prints a line per part, the reason of every skip, and at last `N passed, N failed, N skipped`. With
CI in the environment a skip fails the run, unless it is for want of the shared data folder.
"""

import os
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree


def main(folder: Path) -> int:
    total: Counter[str] = Counter()
    skips: Counter[str] = Counter()
    for path in sorted(folder.glob("*.xml")):
        part: Counter[str] = Counter()
        seconds = 0.0
        for case in ElementTree.parse(path).iter("testcase"):
            seconds += float(case.get("time", 0))
            skipped = case.find("skipped")
            if case.find("failure") is not None or case.find("error") is not None:
                part["failed"] += 1
            elif skipped is not None:
                part["skipped"] += 1
                # A skipped file's reason stands in the text, a skipped test's in the message.
                reason = skipped.text if case.get("classname") == "" else skipped.get("message")
                skips[f"{path.stem}: {reason or 'no reason given'}"] += 1
            else:
                part["passed"] += 1
        total += part
        print(f"{path.stem:12} {counts(part)} ({seconds:.0f} s of tests)")
    for reason, times in sorted(skips.items()):
        print(f"SKIPPED {times} × {reason}")
    forbidden = (
        [reason for reason in skips if "shared" not in reason] if os.environ.get("CI") else []
    )
    if forbidden:
        print("In CI nothing may be skipped.")
    print(counts(total))
    return int(bool(forbidden or total["failed"] or not total["passed"]))


def counts(of: Counter[str]) -> str:
    return f"{of['passed']} passed, {of['failed']} failed, {of['skipped']} skipped"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

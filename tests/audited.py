"""Says what an audit found: `python -m tests.audited python|npm REPORT`, status 1 on a finding.

REPORT is the JSON of `pip-audit --format json` or of `npm audit --json`. An index that cannot be
asked is no finding, but it is said.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def findings(kind: str, report: dict[str, Any]) -> Iterator[str]:
    """A line per vulnerable package: its name, version and the advisories."""
    if kind == "python":
        for package in report["dependencies"]:
            for found in package.get("vulns", []):
                fixed = ", ".join(found.get("fix_versions", [])) or "no version yet"
                yield f"{package['name']} {package['version']}: {found['id']}, fixed in {fixed}"
    else:
        for name, package in report["vulnerabilities"].items():
            titles = {one["title"] for one in package["via"] if isinstance(one, dict)}
            yield f"{name} {package['range']}: {'; '.join(sorted(titles)) or 'by what it needs'}"


def asked(kind: str, report: dict[str, Any]) -> int:
    """How many packages the index answered for."""
    if kind == "python":
        return sum("skip_reason" not in package for package in report.get("dependencies", []))
    return report.get("metadata", {}).get("dependencies", {}).get("total", 0)


def main(kind: str, path: Path) -> int:
    try:
        report = json.loads(path.read_text())
    except ValueError:
        report = {}
    number = asked(kind, report)
    if not number:
        print(f"NOT AUDITED: no index here tells of vulnerabilities of {kind} packages.")
        return 0
    found = list(findings(kind, report))
    for line in found:
        print(f"VULNERABLE: {line}")
    print(f"{kind}: {number} packages asked for, {len(found)} vulnerabilities.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))

"""A finding of the dependency audit fails it; an index that cannot be asked is said."""

import json

import pytest

from tests.audited import main

CLEAN = {"name": "django", "version": "5.2.19", "vulns": []}
BAD = {
    "name": "pillow",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["13.0.0"]}],
}
SKIPPED = {"name": "torch", "skip_reason": "Dependency not found on PyPI"}
NPM_BAD = {
    "vulnerabilities": {"vite": {"range": "<6", "via": [{"title": "Reads any file"}, "esbuild"]}},
    "metadata": {"dependencies": {"total": 40}},
}


@pytest.mark.parametrize(
    ("kind", "report", "status", "words"),
    [
        ("python", {"dependencies": [CLEAN, SKIPPED]}, 0, "1 packages asked for, 0 vuln"),
        ("python", {"dependencies": [CLEAN, BAD]}, 1, "pillow 1.0: PYSEC-2026-1, fixed in 13.0.0"),
        ("python", {"dependencies": [SKIPPED]}, 0, "NOT AUDITED"),
        ("npm", NPM_BAD, 1, "vite <6: Reads any file"),
        ("npm", NPM_BAD | {"vulnerabilities": {}}, 0, "40 packages asked for, 0 vuln"),
        ("npm", {"statusCode": 405}, 0, "NOT AUDITED"),
    ],
)
def test_what_an_audit_found(kind, report, status, words, tmp_path, capsys):
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report))
    assert main(kind, path) == status
    assert words in capsys.readouterr().out


def test_no_report_at_all(tmp_path, capsys):
    (tmp_path / "report.json").write_text("")
    assert main("python", tmp_path / "report.json") == 0
    assert "NOT AUDITED" in capsys.readouterr().out

"""Every numbered bad input has a test, and the test is there."""

import subprocess
import sys

from tests.live import ROOT
from tests.trust.cases import CASES

LAST = 84


def test_every_case_has_a_test():
    assert sorted(CASES) == list(range(1, LAST + 1))
    assert all(CASES.values())


def test_every_test_is_there():
    named = {test for tests in CASES.values() for test in tests}
    files = sorted({test.partition("::")[0] for test in named})
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-o", "addopts=", "--collect-only", "-q", *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    there = {line.strip() for line in done.stdout.splitlines() if "::" in line}
    there |= {test.partition("[")[0] for test in there}
    assert not named - there, done.stderr

"""The benchmark of data sets runs, and every step sees all regions."""

import subprocess
import sys

import pytest

from tests.readers.conftest import PYTHON, ROOT


def test_a_short_run_of_the_benchmark():
    if not PYTHON.exists():
        pytest.skip("the outside readers are not installed: script/readers")
    command = [sys.executable, "-m", "bench.datasets", "--images", "200"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "200 images, 4000 regions" in done.stdout
    for step in ("convert", "import", "release", "export"):
        assert f"| {step} |" in done.stdout

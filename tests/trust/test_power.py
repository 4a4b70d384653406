"""A short run of `script/chaos --power`, and what it stands on: a disk that forgets."""

import random
import sys
from pathlib import Path

import pytest

from tests.servers import find_program
from tests.trust import power
from tests.trust.disk import Deaf, Disk, Op, Record, Survival


@pytest.mark.skipif(
    not find_program("cc") or sys.platform != "linux",
    reason="On Linux, and a C compiler is needed: apt install gcc libc6-dev",
)
def test_nothing_that_was_acknowledged_goes_with_the_power():
    faults = ("the database", "thumbnails", "folders of files")
    report = power.run(power.Plan(2, 10, clients=3, faults=faults))
    assert not report.lost, report
    assert not report.wrong, report
    assert report.losses == 10, report
    for kind in ("save", "upload", "submission", "export", "release"):
        assert report.acknowledged[kind] > 0, report
    assert all(report.controls.values()), report


@pytest.fixture
def disk(tmp_path) -> Disk:
    """With a synced file “a” of two sectors of zeros."""
    before = tmp_path / "before"
    before.mkdir()
    (before / "a").write_bytes(bytes(1024))
    return Disk(Path("/root"), before, {".": 1, "a": 2})


def step(op: Op, inode: int = 0, path: str = "", to: str = "", offset: int = 0, data: bytes = b""):
    path, to = (f"/root/{name}" if name else "" for name in (path, to))
    return Record(op, inode, offset, path, to, data, 0)


def outcomes(disk: Disk, out: Path) -> set[tuple[tuple[str, bytes], ...]]:
    """All that a hundred losses of power leave."""
    chance, found = random.Random(1), set()
    for number in range(100):
        disk.write(out, (*Survival, Survival.SOME)[number % 4], chance)
        files = sorted(path for path in out.rglob("*") if path.is_file())
        found.add(tuple((str(path.relative_to(out)), path.read_bytes()) for path in files))
    return found


def test_what_is_not_synced_is_there_or_not_sector_by_sector(disk, tmp_path):
    disk.apply(step(Op.WRITE, 2, offset=0, data=b"x" * 1024))
    old, new = bytes(512), b"x" * 512
    wanted = {old + old, old + new, new + old, new + new}
    assert {files[0][1] for files in outcomes(disk, tmp_path / "out")} == wanted
    disk.apply(step(Op.SYNC, 2))
    assert {files[0][1] for files in outcomes(disk, tmp_path / "out")} == {new + new}


def test_a_name_lasts_when_its_folder_is_synced(disk, tmp_path):
    disk.apply(step(Op.CREATE, 3, "new"))
    disk.apply(step(Op.WRITE, 3, data=b"bytes"))
    disk.apply(step(Op.SYNC, 3))
    there, not_there = (("a", bytes(1024)), ("new", b"bytes")), (("a", bytes(1024)),)
    assert outcomes(disk, tmp_path / "out") == {there, not_there}
    disk.apply(step(Op.SYNC, 1))
    assert outcomes(disk, tmp_path / "out") == {there}


def test_a_rename_does_not_lose_the_file(disk, tmp_path):
    disk.apply(step(Op.MKDIR, 4, "folder"))
    disk.apply(step(Op.SYNC, 1))
    disk.apply(step(Op.RENAME, 0, "a", "folder/b"))
    content = bytes(1024)
    old, new = ("a", content), ("folder/b", content)
    assert outcomes(disk, tmp_path / "out") == {(old,), (new,), (old, new)}
    disk.apply(step(Op.SYNC, 4))
    assert outcomes(disk, tmp_path / "out") == {(new,), (old, new)}


def test_a_planted_fault_leaves_syncs_unheard(disk, tmp_path):
    disk.deaf = Deaf(files=("a*",))
    disk.apply(step(Op.WRITE, 2, data=b"y"))
    disk.apply(step(Op.SYNC, 2))
    assert len(outcomes(disk, tmp_path / "out")) == 2

"""Databases that tests begin with: migrated once, then copied.

Kept in .cache/templates under a hash of the migrations and of the packages that bring some, so that
whatever changes them makes new ones.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".cache" / "templates"


@cache
def version() -> str:
    """Changes with the migrations."""
    parts = [ROOT / "requirements" / "base.txt", *sorted(ROOT.glob("*/migrations/*.py"))]
    parts += [ROOT / "tests" / name for name in ("servers.py", "templates.py")]
    return hashlib.sha256(b"".join(path.read_bytes() for path in parts)).hexdigest()[:16]


def once(name: str, make: Callable[[Path], None]) -> Path:
    """The folder that `make(folder)` filled, now or in an earlier run; one process makes it."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    found = FOLDER / f"{name}-{version()}"
    with (FOLDER / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not found.exists():
            for old in FOLDER.glob(f"{name}-*"):
                shutil.rmtree(old)
            making = FOLDER / f"{name}-unfinished"
            making.mkdir()
            make(making)
            making.rename(found)
    return found


def sqlite() -> Path:
    """A SQLite file with all tables and no other rows than migrations make."""
    name = "labeler.sqlite3"
    return once("sqlite", lambda folder: migrate(f"sqlite:///{folder / name}")) / name


def migrate(url: str) -> None:
    with tempfile.TemporaryDirectory() as data:
        settings = {"DEBUG": "1", "READ_DOTENV": "0", "LABELER_DATA": data, "DATABASE_URL": url}
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
            cwd=ROOT,
            env=os.environ | settings,
            check=True,
        )

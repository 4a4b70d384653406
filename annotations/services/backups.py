"""The database and all stored files into a folder, and back again; every file by its SHA-256.

    backup.json         which kind of database, when, how many files
    database            SQLite: a database file; PostgreSQL: an archive of pg_dump
    media/…             the stored files under their storage names
    SHA256SUMS          of all the others; `sha256sum --check SHA256SUMS` verifies them too

The database is copied first, from one moment, while the product runs. Stored files never change, so
whatever that copy names is in the folder, but for what people deleted meanwhile.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from django.core.files.storage import default_storage
from django.db import connection
from django.utils import timezone

from annotations.models import Project, User
from annotations.services import files

ABOUT, DATABASE, MEDIA, SUMS = "backup.json", "database", "media", "SHA256SUMS"
FORMAT = 1
NO_LIMIT = 2**63
Progress = Callable[[int, int], None]


class BackupError(Exception):
    """A back-up that cannot be made, or cannot be trusted, in plain words. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Done:
    files: int
    bytes: int


def backup(target: Path, progress: Progress = lambda done, total: None) -> Done:
    """Write a back-up to the folder `target`, which must not exist yet.

    It is written aside and renamed at the end: what is called `target` is whole.
    """
    if target.exists():
        raise BackupError(f"{target} is there already. Name a folder that does not exist yet.")
    aside = target.with_name(f".{target.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True, mode=0o700)  # it holds passwords' hashes
    try:
        done = _write(aside, progress)
        aside.rename(target)
        files.sync(target.parent)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return done


def _write(folder: Path, progress: Progress) -> Done:
    _dump(folder / DATABASE)
    files.sync(folder / DATABASE)
    names = list(_stored())
    total = 0
    with (folder / SUMS).open("w") as sums:
        sums.write(f"{_digest(folder / DATABASE)}  {DATABASE}\n")
        kept = 0
        for number, name in enumerate(names, start=1):
            target = folder / MEDIA / name
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with default_storage.open(name) as source:
                    sha256, size = files.receive(source, target, NO_LIMIT, name)
            except FileNotFoundError:  # deleted since the list was made
                continue
            sums.write(f"{sha256}  {MEDIA}/{name}\n")
            kept, total = kept + 1, total + size
            progress(number, len(names))
        about = {
            "format": FORMAT,
            "database": connection.vendor,
            "made": timezone.now().isoformat(),
            "files": kept,
            "bytes": total,
        }
        text = json.dumps(about, indent=2)
        (folder / ABOUT).write_text(text)
        sums.write(f"{hashlib.sha256(text.encode()).hexdigest()}  {ABOUT}\n")
    for name in (SUMS, ABOUT):
        files.sync(folder / name)
    for path in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        files.sync(path)
    return Done(kept, total)


def restore(
    source: Path, *, force: bool = False, progress: Progress = lambda done, total: None
) -> Done:
    """Make database and files what they were. Whatever is here now goes, if `force` allows it.

    First every file is verified. Then files are put in place, the database is exchanged in one
    step, and only then what the back-up does not know is removed: at each moment the database and
    its files belong together. Nothing else may run meanwhile.
    """
    about = _about(source)
    sums = _verified(source, about, progress)
    if not force and (reason := _occupied()):
        raise BackupError(
            f"{reason} Restore into an empty installation, or give --force to replace it all."
        )
    wanted = {name.removeprefix(f"{MEDIA}/") for name in sums if name.startswith(f"{MEDIA}/")}
    before = set(_stored())
    with files.scratch() as folder:
        placed = files.Placed()
        for name in wanted:
            copy = folder / "copy"
            with (source / MEDIA / name).open("rb") as file:
                sha256, _ = files.receive(file, copy, NO_LIMIT, name)
            if sha256 != sums[f"{MEDIA}/{name}"]:
                raise BackupError(f"{MEDIA}/{name} changed while it was read.")
            placed.put(name, copy, synced=True)
        placed.settle()
    _load(source / DATABASE)
    for name in before - wanted:
        default_storage.delete(name)
    return Done(about["files"], about["bytes"])


def _about(source: Path) -> dict[str, Any]:
    try:
        about = json.loads((source / ABOUT).read_text())
        kind, number = about["database"], about["format"]
        about["files"], about["bytes"]
    except (OSError, ValueError, KeyError, TypeError):
        raise BackupError(f"{source} is no back-up: it has no readable {ABOUT}.") from None
    if number != FORMAT:
        raise BackupError(f"{source} is a back-up of another form ({number!r}).")
    if kind != connection.vendor:
        raise BackupError(
            f"The back-up is of a {kind} database, and DATABASE_URL names one of "
            f"{connection.vendor}."
        )
    return about


def _verified(source: Path, about: dict[str, Any], progress: Progress) -> dict[str, str]:
    """`{path in the back-up: SHA-256}` once every file was found to be what it was."""
    try:
        lines = (source / SUMS).read_text().splitlines()
    except (OSError, ValueError):
        raise BackupError(f"{source} is no whole back-up: {SUMS} cannot be read.") from None
    sums: dict[str, str] = {}
    for line in lines:
        sha256, _, name = line.partition("  ")
        if not name or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise BackupError(f"{SUMS} is damaged at “{line:.80}”.")
        sums[name] = sha256
    if {ABOUT, DATABASE} - set(sums) or len(sums) != about["files"] + 2:
        raise BackupError(f"{SUMS} does not list all of the back-up.")
    for number, (name, sha256) in enumerate(sums.items(), start=1):
        try:
            found = _digest(source / name)
        except OSError:
            raise BackupError(f"{name} is missing in the back-up, or cannot be read.") from None
        if found != sha256:
            raise BackupError(f"{name} is damaged: its SHA-256 is not that of the back-up.")
        progress(number, len(sums))
    return sums


def _occupied() -> str:
    """What is here already, empty where nothing is."""
    if User._meta.db_table in connection.introspection.table_names() and (
        User.objects.exists() or Project.objects.exists()
    ):
        return "There are people or projects in the database."
    if next(_stored(), None) is not None:
        return "There are stored files."
    return ""


def _stored(folder: str = "") -> Iterator[str]:
    """The names of all stored files; not those that are being written."""
    try:
        folders, names = default_storage.listdir(folder)
    except FileNotFoundError:
        return
    prefix = f"{folder}/" if folder else ""
    yield from (prefix + name for name in sorted(names) if name and not name.startswith("."))
    for inner in sorted(folders):
        yield from _stored(prefix + inner)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- databases ------------------------------------------------------------------------------------


def _dump(target: Path) -> None:
    if connection.vendor == "sqlite":
        with closing(sqlite3.connect(target)) as copy:
            connection.ensure_connection()
            connection.connection.backup(copy)
            [[verdict]] = copy.execute("PRAGMA quick_check").fetchall()
        if verdict != "ok":
            raise BackupError(f"The copy of the database is damaged: {verdict:.200}")
        return
    _run("pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={target}")


def _load(source: Path) -> None:
    """Exchange the whole database in one transaction."""
    if connection.vendor == "sqlite":
        connection.ensure_connection()
        with closing(sqlite3.connect(f"{source.as_uri()}?mode=ro&immutable=1", uri=True)) as copy:
            copy.backup(connection.connection)
        return
    connection.close()
    _run(
        "pg_restore",
        *["--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction"],
        *[f"--dbname={connection.settings_dict['NAME']}", str(source)],
    )


def _run(program: str, *arguments: str) -> None:
    """One of PostgreSQL's programs against the database of the settings."""
    found = shutil.which(program)
    if found is None:
        raise BackupError(
            f"{program} is not installed. Debian, Ubuntu: apt install postgresql-client"
        )
    values = connection.settings_dict
    given = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGPASSWORD": "PASSWORD"}
    environment = {name: str(values[key]) for name, key in given.items() if values[key]}
    environment["PGDATABASE"] = values["NAME"]
    done = subprocess.run(
        [found, *arguments], env=os.environ | environment, capture_output=True, text=True
    )
    if done.returncode:
        raise BackupError(f"{program} failed: {done.stderr.strip()[-500:]}")

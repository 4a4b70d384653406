"""A disk with a cache that can lose power, rebuilt from what `journal.c` wrote down.

`Disk` follows the journal and knows of each file and folder what was synced and what was not. What
was synced is there after a loss of power. What was not, data and names alike, is there or is not
(`Survival`): of data each sector of each write by itself, of a file's length what was written, or
less; of the names in a folder each by itself, in the order of their changes. That is more than
journaling file systems lose, and what POSIX allows.
"""

import enum
import fnmatch
import mmap
import os
import random
import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SECTOR = 512
PAGE = 4096
MOST_BYTES = 16 * 2**30
"""So long may a journal become; its file is sparse."""
RECORD = struct.Struct("4I3Q")
LENGTH = struct.Struct("Q")
LIBRARY = "journal.so"


class Op(enum.IntEnum):
    """As in journal.c."""

    CREATE = 1
    MKDIR = 2
    WRITE = 3
    TRUNCATE = 4
    RENAME = 5
    LINK = 6
    UNLINK = 7
    SYNC = 8
    SYNC_ALL = 9


class Survival(enum.Enum):
    """What is there of what was not synced."""

    NOTHING = "nothing"
    EVERYTHING = "everything"
    SOME = "some"


@dataclass(frozen=True, slots=True)
class Record:
    """One step. `end`: the length of the journal with it."""

    op: Op
    inode: int
    offset: int
    path: str
    to: str
    data: bytes
    end: int


class Journal:
    """The file in `folder` where processes with `environment` write down what is done to `root`."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.path, self.library = folder / "journal", folder / LIBRARY
        self.root = root.resolve()
        if not self.path.exists():
            compile_library(self.library)
            with self.path.open("wb") as file:
                file.truncate(MOST_BYTES)
            self.path.chmod(0o666)  # PostgreSQL's user writes too
        with self.path.open("r+b") as file:
            self.map = mmap.mmap(file.fileno(), MOST_BYTES)

    @property
    def environment(self) -> dict[str, str]:
        """For the first process, and those that it starts."""
        return {
            "JOURNAL": str(self.path),
            "JOURNAL_ROOT": str(self.root),
            "LD_PRELOAD": str(self.library),
        }

    def now(self) -> int:
        """How long it is: all that came before is in it."""
        length: int = LENGTH.unpack_from(self.map)[0]
        return length

    def records(self) -> Iterator[Record]:
        at, end = PAGE, self.now()
        while at < end:
            op, path, to, _, inode, offset, size = RECORD.unpack_from(self.map, at)
            names = at + RECORD.size
            data = names + path + to
            length = RECORD.size + path + to + size
            at += length + -length % 8
            yield Record(
                Op(op),
                inode,
                offset,
                os.fsdecode(self.map[names : names + path]),
                os.fsdecode(self.map[names + path : data]),
                self.map[data : data + size],
                at,
            )


def compile_library(target: Path) -> None:
    source = Path(__file__).with_name("journal.c")
    command = ["cc", "-O1", "-shared", "-fPIC", "-o", str(target), str(source), "-ldl", "-lpthread"]
    subprocess.run(command, check=True)


@dataclass(slots=True, eq=False)
class File:
    """`kept` was synced; `pending` came later: data at an offset, or None and a new length."""

    kept: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)

    def sync(self) -> None:
        for offset, data in self.pending:
            _change(self.kept, offset, data)
        self.pending.clear()

    def after(self, survival: Survival, chance: random.Random) -> bytes:
        if survival is Survival.NOTHING or not self.pending:
            return bytes(self.kept)
        found = bytearray(self.kept)
        some = survival is Survival.SOME
        part = chance.choice((0.0, 0.3, 0.7, 0.95)) if some else 1.0
        longest = len(found)
        for offset, data in self.pending:
            if data is None:
                longest = max(longest, offset)
                if chance.random() < part:
                    _change(found, offset, None)
                continue
            longest = max(longest, offset + len(data))
            for start, sector in _sectors(offset, data) if some else [(offset, data)]:
                if chance.random() < part:
                    _change(found, start, sector)
        if some and chance.random() < 0.5:  # the length came to the disk, the data did not
            found.extend(bytes(max(0, longest - len(found))))
        return bytes(found)


def _change(content: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del content[offset:]
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    if data is not None:
        content[offset : offset + len(data)] = data


def _sectors(offset: int, data: bytes) -> Iterator[tuple[int, bytes]]:
    """The write as the disk does it: pieces that end where sectors do."""
    start = offset
    end = offset + len(data)
    while start < end:
        stop = min(end, start + SECTOR - start % SECTOR)
        yield start, data[start - offset : stop - offset]
        start = stop


@dataclass(slots=True, eq=False)
class Entry:
    """A change of a name in a folder that was not synced: what it leads to now, None: nothing.

    `first` comes to the disk before it: a rename does not lose the file.
    """

    name: str
    node: "Node | None"
    first: "tuple[Folder, Entry] | None" = None


@dataclass(slots=True, eq=False)
class Folder:
    """Names: as they are, as they were synced, and the changes between."""

    now: "dict[str, Node]" = field(default_factory=dict)
    kept: "dict[str, Node]" = field(default_factory=dict)
    pending: list[Entry] = field(default_factory=list)

    def change(self, name: str, node: "Node | None") -> Entry:
        _set(self.now, name, node)
        self.pending.append(Entry(name, node))
        return self.pending[-1]

    def sync(self) -> None:
        while self.pending:
            self.settle(self.pending[-1])

    def settle(self, last: Entry) -> None:
        """The changes of this name up to `last` are on the disk."""
        mine = [entry for entry in self.pending if entry.name == last.name]
        for entry in mine[: mine.index(last) + 1] if last in mine else ():
            self.pending.remove(entry)
            if entry.first:
                entry.first[0].settle(entry.first[1])
            _set(self.kept, entry.name, entry.node)


Node = File | Folder


def _set(names: dict[str, Node], name: str, node: Node | None) -> None:
    if node is None:
        names.pop(name, None)
    else:
        names[name] = node


class Disk:
    """What is below a folder. `deaf` files and folders are not synced: a fault that is planted.

    It begins with what is in the folder `before` (all of it synced), where `inodes` are the numbers
    that the files and folders at relative paths had when the journal began.
    """

    def __init__(
        self, root: Path, before: Path, inodes: dict[str, int], deaf: "Deaf | None" = None
    ) -> None:
        self.root = str(root)
        self.top = Folder()
        self.nodes: dict[int, Node] = {inodes["."]: self.top}
        self.paths: dict[Node, str] = {self.top: "."}
        self.deaf = deaf or Deaf()
        for path, inode in inodes.items():
            if path != ".":
                place = before / path
                node = Folder() if place.is_dir() else File(bytearray(place.read_bytes()))
                self._enter(path, inode, node)
        self._settle_all()

    def apply(self, record: Record) -> None:
        path, to = self._relative(record.path), self._relative(record.to)
        if record.op is Op.WRITE or record.op is Op.TRUNCATE:
            node = self.nodes.get(record.inode)
            if isinstance(node, File):
                data = record.data if record.op is Op.WRITE else None
                node.pending.append((record.offset, data))
        elif record.op in (Op.CREATE, Op.MKDIR):
            self._enter(path, record.inode, File() if record.op is Op.CREATE else Folder())
        elif record.op is Op.UNLINK:
            folder, name = self._place(path)
            folder.change(name, None)
        elif record.op in (Op.RENAME, Op.LINK):
            folder, name = self._place(path)
            target, new_name = self._place(to)
            node = folder.now[name]
            entry = target.change(new_name, node)
            self.paths[node] = to
            if record.op is Op.RENAME:
                folder.change(name, None).first = target, entry
        elif record.op is Op.SYNC:
            node = self.nodes.get(record.inode)
            if node and not self.deaf.to(self.paths[node], node):
                node.sync()
        else:
            self._settle_all()

    def write(self, out: Path, survival: Survival, chance: random.Random) -> None:
        """Makes the folder `out` what is found when power is back."""
        shutil.rmtree(out, ignore_errors=True)
        _write(self.top, out, survival, chance, self._gone(survival, chance))

    def content(self, path: str) -> bytes | None:
        """What processes read there now."""
        node: Node | None = self.top
        for part in path.split("/"):
            node = node.now.get(part) if isinstance(node, Folder) else None
        return node.after(Survival.EVERYTHING, random.Random()) if isinstance(node, File) else None

    def files(self) -> dict[str, bytes]:
        """All files as processes read them now."""
        found: dict[str, bytes] = {}

        def walk(folder: Folder, prefix: str) -> None:
            for name, node in folder.now.items():
                if isinstance(node, Folder):
                    walk(node, f"{prefix}{name}/")
                else:
                    found[prefix + name] = node.after(Survival.EVERYTHING, random.Random())

        walk(self.top, "")
        return found

    def _gone(self, survival: Survival, chance: random.Random) -> set[Entry]:
        """The changes of names that did not come to the disk."""
        folders = [node for node in self.nodes.values() if isinstance(node, Folder)]
        if survival is Survival.EVERYTHING:
            return set()
        if survival is Survival.NOTHING:
            return {entry for folder in folders for entry in folder.pending}
        gone = {entry for folder in folders for entry in folder.pending if chance.random() < 0.5}
        before = -1
        while before < len(gone):  # what rests on something that is gone is gone too
            before = len(gone)
            for folder in folders:
                lost: set[str] = set()
                for entry in folder.pending:
                    late = entry.name in lost or (entry.first and entry.first[1] in gone)
                    if late or entry in gone:
                        lost.add(entry.name)
                        gone.add(entry)
        return gone

    def _relative(self, path: str) -> str:
        return os.path.relpath(path, self.root) if path else ""

    def _place(self, path: str) -> tuple[Folder, str]:
        """The folder and the name in it of a relative path."""
        *parents, name = path.split("/")
        folder = self.top
        for part in parents:
            found = folder.now[part]
            assert isinstance(found, Folder), path
            folder = found
        return folder, name

    def _enter(self, path: str, inode: int, node: Node) -> None:
        folder, name = self._place(path)
        folder.change(name, node)
        self.nodes[inode] = node
        self.paths[node] = path

    def _settle_all(self) -> None:
        for node in self.nodes.values():
            node.sync()


@dataclass(frozen=True, slots=True)
class Deaf:
    """Whose syncs are not obeyed: of what these patterns of relative paths (fnmatch) name."""

    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()

    def to(self, path: str, node: Node) -> bool:
        patterns = self.folders if isinstance(node, Folder) else self.files
        return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def _write(
    folder: Folder, out: Path, survival: Survival, chance: random.Random, gone: set[Entry]
) -> None:
    out.mkdir()
    names = dict(folder.kept)
    for entry in folder.pending:
        if entry not in gone:
            _set(names, entry.name, entry.node)
    for name, node in names.items():
        if isinstance(node, Folder):
            _write(node, out / name, survival, chance, gone)
        else:
            (out / name).write_bytes(node.after(survival, chance))

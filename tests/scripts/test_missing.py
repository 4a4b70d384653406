"""What the scripts say where something is missing: plain words, and a status that is not 0."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.live import ROOT

TOOLS = ("awk", "bash", "cat", "df", "dirname", "find", "mkdir", "sed", "tail", "tr")


@pytest.fixture
def programs(tmp_path) -> Path:
    """A folder for PATH with the plain tools alone; a test adds what it pretends to have."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        (folder / tool).symlink_to(shutil.which(tool) or f"/bin/{tool}")
    return folder


def pretend(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!{shutil.which('bash')}\n{script}\n")
    (folder / name).chmod(0o755)


def lib(programs: Path, command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euc", f". '{ROOT}/script/lib.sh'; {command}"],
        env={"PATH": str(programs)},
        cwd=cwd,
        capture_output=True,
        text=True,
    )


def refused(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def test_no_python(programs):
    assert "There is no Python here. Version 3.11" in refused(lib(programs, "find_python"))


OLD_PYTHON = 'case "$2" in *version_info*) exit 1;; *print*) echo 3.9.2;; esac'
NEW_PYTHON = 'case "$2" in *print*) echo 3.12.1;; esac'


def test_python_too_old(programs):
    pretend(programs, "python3", OLD_PYTHON)
    message = refused(lib(programs, "find_python"))
    assert "Python is too old here: the newest found is 3.9.2, and 3.11" in message


def test_a_newer_python_beside_an_old_one_is_found(programs):
    pretend(programs, "python3", OLD_PYTHON)
    pretend(programs, "python3.12", NEW_PYTHON)
    done = lib(programs, 'find_python; echo "$PYTHON"')
    assert done.stdout.strip() == "python3.12"


def test_no_node(programs):
    assert "There is no Node.js here. Version 20" in refused(lib(programs, "find_node"))


def test_node_too_old(programs):
    pretend(programs, "node", "echo v18.19.0")
    assert "Node.js is too old here: this is 18.19.0" in refused(lib(programs, "find_node"))


def test_no_npm(programs):
    pretend(programs, "node", "echo v22.1.0")
    assert "no npm" in refused(lib(programs, "find_node"))


def test_no_disk(programs, tmp_path):
    message = refused(lib(programs, f"need_disk 999999999 '{tmp_path}' 'the moon'"))
    assert "Not enough disk for the moon: it needs 999999999 MB, and" in message


def test_the_library_works_from_any_folder(programs, tmp_path):
    assert lib(programs, "pwd", cwd=tmp_path).stdout.strip() == str(ROOT)


def server(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {"LABELER_DATA": str(tmp_path / "data"), "READ_DOTENV": "0"} | environment
    return subprocess.run(
        [ROOT / "script" / "server"],
        env=os.environ | settings,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_a_taken_port_is_named_and_nothing_is_made(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        message = refused(server(tmp_path, PORT=str(port)))
    assert f"Port {port} is taken" in message
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("port", ["0x", "99999999"])
def test_a_port_that_is_none(tmp_path, port):
    assert f"'{port}' is no port" in refused(server(tmp_path, PORT=port))


def test_a_data_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    message = refused(server(tmp_path, LABELER_DATA=str(tmp_path / "file" / "data"), PORT="0"))
    assert "cannot be written" in message

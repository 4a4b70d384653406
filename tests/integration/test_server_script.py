"""script/server: the demo on one command, on this machine only, and quick the second time."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.live import ROOT, SETTINGS
from tests.servers import free_port, wait_until

LIMIT = 5  # seconds


class Started:
    """One run of script/server."""

    def __init__(self, data: Path) -> None:
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in (*SETTINGS, "SECRET_KEY", "ALLOWED_HOSTS")
        }
        settings = {"LABELER_DATA": str(data), "PORT": str(port), "READ_DOTENV": "0"}
        self.output = data.parent / f"output-{port}"
        begun, used = time.monotonic(), machine_seconds()
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [ROOT / "script" / "server"],
                env=inherited | settings,
                cwd="/",
                stdout=output,
                stderr=output,
            )
        wait_until(self.answers, f"script/server ({self.output})", seconds=240)
        self.seconds = time.monotonic() - begun
        own = processor_seconds(self.process.pid)
        self.others_seconds = max(0.0, machine_seconds() - used - own) / (os.cpu_count() or 1)

    def answers(self) -> bool:
        assert self.process.poll() is None, self.output.read_text()
        return requests.get(f"{self.url}/login", timeout=5).status_code == 200

    def stop(self) -> None:
        """As Ctrl+C does."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=30)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server") / "data"


@pytest.fixture(scope="module")
def second(data) -> Iterator[Started]:
    """The second run on a data folder."""
    Started(data).stop()
    second = Started(data)
    try:
        yield second
    finally:
        second.stop()


def descendants(pid: int) -> set[int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def is_running(pid: int) -> bool:
    """Whether it is there and not only waits for its parent to ask how it ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def processor_seconds(pid: int) -> float:
    """What the process, its descendants and those that ended already took of the processor."""
    ticks = 0
    for one in descendants(pid):
        try:
            columns = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(map(int, columns[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def machine_seconds() -> float:
    """What all processes of the machine took of its processors since it was started."""
    user, nice, system, _, _, *interrupts = map(
        int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9]
    )
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")


def listening_addresses(pids: set[int]) -> set[str]:
    """The addresses, as the kernel writes them, on which these processes accept connections."""
    sockets = set()
    for pid in pids:
        for entry in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                sockets.add(os.readlink(entry))
            except OSError:
                continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == "0A" and f"socket:[{columns[9]}]" in sockets:
                found.add(columns[1])
    return found


def test_the_second_start_serves_in_under_five_seconds(second):
    # Time that others had the processors for is not the script's.
    taken = second.seconds - second.others_seconds
    assert taken < LIMIT, second.output.read_text()


def test_it_listens_on_this_machine_only(second):
    port = int(second.url.rpartition(":")[2])
    loopback = f"0100007F:{port:04X}"
    assert listening_addresses(descendants(second.process.pid)) == {loopback}


def test_it_prints_a_login_that_works(second):
    printed = second.output.read_text()
    assert second.url in printed
    password = re.search(r"Their password: (\S+)", printed)
    assert password, printed
    with requests.Session() as browser:
        page = browser.get(f"{second.url}/login", timeout=10)
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
        assert token
        form = {"username": "demo", "password": password[1], "csrfmiddlewaretoken": token[1]}
        home = browser.post(f"{second.url}/login", data=form, timeout=10)
    for name in ("People, animals and things", "Coins, cells and craters", "Outdoor scenes"):
        assert name in home.text


def test_secrets_are_for_the_owner_only(second, data):
    for name in ("secret_key", "demo_login"):
        assert (data / name).stat().st_mode & 0o777 == 0o600
    assert (data / "secret_key").read_text() not in second.output.read_text()


def test_nothing_stays_behind_when_it_stops(data):
    server = Started(data)
    # Itself, gunicorn's three or more, a worker, the sweeper: the last ones after it answers.
    wait_until(lambda: len(descendants(server.process.pid)) >= 5, "all processes")
    processes = descendants(server.process.pid)
    server.stop()
    wait_until(lambda: not any(map(is_running, processes)), "the end of all processes", seconds=5)

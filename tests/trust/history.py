"""Clients that save regions over HTTP and remember what they were told; the check of all of it.

Every write that was acknowledged is in the database, with the version and the contents it was
given; no write that was refused is there; a write without an answer is there at most once; nothing
else is there; the versions of a region count 1, 2, 3, … and each is based on the one before.
"""

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import urllib3

OK, REFUSED, UNKNOWN = "acknowledged", "refused", "unanswered"
RETRY_SECONDS = 0.1
TIMEOUT = urllib3.Timeout(connect=2, read=15)

Revision = tuple[str, int, str, Any, int]
"""A row of the history: region, version, key, attributes, and the region's version now."""


@dataclass(slots=True)
class Save:
    """One write of one client and what became of it; `at`: when, by the client's clock."""

    key: str
    region: str
    based_on: int
    number: str
    outcome: str = UNKNOWN
    version: int = 0
    seconds: float = 0.0
    attempts: int = 0
    at: int = 0


class Deadline:
    """When clients give up waiting for answers; none until `set`."""

    def __init__(self) -> None:
        self.at = float("inf")

    def set(self, seconds: float) -> None:
        self.at = time.monotonic() + seconds

    def passed(self) -> bool:
        return time.monotonic() > self.at


@dataclass(slots=True)
class Client:
    """Saves into an annotation until told to stop. `pause` are the seconds between two saves.

    `versions` are the regions that it knows; clients of one annotation may share them.
    """

    name: str
    url: str
    token: str
    annotation: int
    category: int
    random: random.Random
    pause: float = 0.0
    most_regions: int = 2000
    versions: dict[str, int] = field(default_factory=dict)
    history: list[Save] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    clock: Callable[[], int] = int

    def work(self, stop: threading.Event, deadline: Deadline) -> None:
        with urllib3.PoolManager(
            timeout=TIMEOUT, retries=False, headers={"Authorization": f"Token {self.token}"}
        ) as http:
            try:
                while not stop.is_set():
                    self.save(http, deadline)
                    if self.pause:
                        stop.wait(self.random.uniform(0.5, 1.5) * self.pause)
            except Exception as error:  # an answer that a save must never get
                self.errors.append(repr(error))

    def save(self, http: urllib3.PoolManager, deadline: Deadline) -> None:
        """A new region, or a change of one; now and then with a version that is stale."""
        known = list(self.versions)
        new = len(known) < 5 or (len(known) < self.most_regions and self.random.random() < 0.2)
        region = str(uuid.UUID(int=self.random.getrandbits(128))) if new else ""
        region = region or self.random.choice(known)
        based_on = self.versions.get(region, 0)
        if based_on > 1 and self.random.random() < 0.05:
            based_on -= 1
        key = str(uuid.UUID(int=self.random.getrandbits(128)))
        save = Save(key, region, based_on, f"{self.name}, {len(self.history)}")
        self.history.append(save)
        begun = time.monotonic()
        while save.outcome == UNKNOWN and not deadline.passed():
            save.attempts += 1
            try:
                self.send(http, save)
            except urllib3.exceptions.HTTPError:
                time.sleep(RETRY_SECONDS)
        save.at = self.clock()
        save.seconds = time.monotonic() - begun

    def send(self, http: urllib3.PoolManager, save: Save) -> None:
        write: dict[str, Any] = {
            "op": "upsert",
            "region": save.region,
            "based_on": save.based_on,
            "key": save.key,
            "category": self.category,
            "polygons": [[[1, 1, 20, 1, 20, 20 + len(self.history) % 50]]],
            "attributes": {"number": save.number},
        }
        address = f"{self.url}/api/annotations/{self.annotation}/patches"
        reply = http.request("POST", address, json={"writes": [write]})
        if reply.status == 200:
            save.outcome = OK
            save.version = reply.json()["regions"][0]["version"]
            self._learn(save.region, save.version)
        elif reply.status == 412:
            save.outcome = REFUSED
            theirs = reply.json()["conflicts"][0]["theirs"]
            if theirs:
                self._learn(save.region, theirs["version"])
            else:
                self.versions.pop(save.region, None)
        elif reply.status < 500:
            raise AssertionError(f"{reply.status}: {reply.data[:500]!r}")
        else:
            time.sleep(RETRY_SECONDS)

    def _learn(self, region: str, version: int) -> None:
        self.versions[region] = max(version, self.versions.get(region, 0))


def check(saves: Sequence[Save], revisions: Iterable[Revision]) -> tuple[list[str], list[str]]:
    """What was lost, and what is wrong otherwise, as sentences."""
    lost: list[str] = []
    wrong: list[str] = []
    stored: dict[str, tuple[str, int, Any]] = {}
    versions: dict[str, list[int]] = {}
    current: dict[str, int] = {}
    for region, version, key, attributes, now in revisions:
        if key in stored:
            wrong.append(f"{key} is there twice")
        stored[key] = region, version, attributes
        versions.setdefault(region, []).append(version)
        current[region] = now
    for save in saves:
        found = stored.pop(save.key, None)
        if found is None:
            if save.outcome == OK:
                lost.append(f"version {save.version} of {save.region} is not there")
        elif save.outcome == REFUSED:
            wrong.append(f"{save.key} was refused and is there")
        elif found[0] != save.region or found[2] != {"number": save.number}:
            wrong.append(f"{save.key} is there with other contents")
        elif found[1] != save.based_on + 1:
            wrong.append(f"{save.key} is version {found[1]} and was based on {save.based_on}")
        elif save.outcome == OK and found[1] != save.version:
            wrong.append(f"{save.key} is version {found[1]}, not {save.version}")
    wrong += [f"nobody wrote {key}" for key in stored]
    for region, numbers in versions.items():
        if sorted(numbers) != list(range(1, len(numbers) + 1)):
            wrong.append(f"{region} has the versions {sorted(numbers)}")
        if current[region] != max(numbers):
            wrong.append(f"{region} is at {current[region]}, not at {max(numbers)}")
    return lost, wrong

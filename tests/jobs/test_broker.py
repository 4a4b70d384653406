"""The embedded broker hands each message over once, and whole."""

import threading
import time
from queue import Empty

import pytest
from kombu import Connection

from labeler.broker import Transport

MESSAGES = 300


@pytest.fixture
def connection(tmp_path):
    for name in ("messages", "control"):
        (tmp_path / name).mkdir()
    messages = str(tmp_path / "messages")
    options = {"data_folder_in": messages, "data_folder_out": messages}
    options["control_folder"] = str(tmp_path / "control")
    with Connection("filesystem://localhost", transport_options=options) as connection:
        yield connection


def test_a_message_is_there_when_it_is_whole(connection):
    assert isinstance(connection.transport, Transport)
    sender, reader = connection.channel(), connection.channel()
    text = "x" * 200_000

    def send() -> None:
        for number in range(MESSAGES):
            sender._put("io", {"number": number, "text": text})

    thread = threading.Thread(target=send)
    thread.start()
    found: list[int] = []
    deadline = time.monotonic() + 60
    while len(found) < MESSAGES and time.monotonic() < deadline:
        try:
            message = reader._get("io")
        except Empty:
            continue
        assert message["text"] == text
        found.append(message["number"])
    thread.join()
    assert sorted(found) == list(range(MESSAGES))

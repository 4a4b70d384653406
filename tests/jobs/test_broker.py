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


@pytest.mark.parametrize(
    "left",
    [b"", b"\0" * 64, b'[["io", "", "io"], ["inter', b"[7]"],
    ids=["empty", "zeros", "cut off", "other"],
)
def test_what_a_loss_of_power_left_of_tables_and_messages_stops_nobody(connection, tmp_path, left):
    table = tmp_path / "control" / "io.exchange"
    table.write_bytes(left)
    (tmp_path / "messages" / "1_a.io.msg").write_bytes(left.rstrip(b"]"))
    for channel in (connection.channel(), connection.channel()):
        assert channel.get_table("io") == []
        table.write_bytes(left)
    channel._queue_bind("io", "io", None, "io")
    assert [row[2] for row in connection.channel().get_table("io")] == ["io"]
    channel._put("io", {"job": 1})
    assert channel._get("io") == {"job": 1}

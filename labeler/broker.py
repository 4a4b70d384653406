"""The embedded broker: Celery's file-system transport, in which nothing is read half written.

There a message has its name before it has its content, so that a worker that looks in this moment
takes an empty one, and stops. And what the machine had not written when it lost power stopped every
worker at its start. Here what is damaged is dropped: the database says what is to be done.
"""

import fcntl
import json
import logging
import os
import time
import uuid
from pathlib import Path
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps

WAIT_SECONDS = 0.2
DAMAGED = (ValueError, TypeError)
log = logging.getLogger(__name__)


class Channel(filesystem.Channel):
    def _put(self, queue: str, message: Any, **more: Any) -> None:  # type: ignore[override]  # kombu's: untyped
        number = round(1000 * time.monotonic())
        name = f"{number}_{uuid.uuid4()}"
        aside = Path(self.data_folder_out) / f"{name}.part"
        aside.write_text(dumps(message))
        os.replace(aside, aside.with_name(f"{name}.{queue}.msg"))

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        while True:  # whatever was read is gone from the folder
            try:
                return super()._get(queue)
            except ValueError:
                log.warning("A damaged message in %s was dropped", queue)

    def get_table(self, exchange: str) -> list[Any]:
        try:
            return list(super().get_table(exchange))
        except DAMAGED:
            self._mend(exchange)
            return []

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str | None, queue: str) -> None:
        try:
            super()._queue_bind(exchange, routing_key, pattern, queue)
        except DAMAGED:
            self._mend(exchange)
            super()._queue_bind(exchange, routing_key, pattern, queue)

    def _mend(self, exchange: str) -> None:
        """An empty table in place of a damaged one; whoever reads or sends adds the own queue."""
        with (Path(self.control_folder) / f"{exchange}.exchange").open("rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                [filesystem.exchange_queue_t(*row) for row in json.loads(file.read())]
            except DAMAGED:
                log.warning("The damaged table of %s is made anew", exchange)
                file.seek(0)
                file.truncate()
                file.write(b"[]")


class Transport(filesystem.Transport):
    Channel = Channel

    def drain_events(  # type: ignore[override]  # kombu's: untyped
        self, connection: Any, timeout: float | None = None
    ) -> None:
        """As there; but a worker that waits two seconds at a time takes that long to stop."""
        timeout = timeout if timeout is None else min(timeout, WAIT_SECONDS)
        super().drain_events(connection, timeout=timeout)


def use() -> None:
    """Addresses that begin with filesystem:// mean this transport from now on."""
    TRANSPORT_ALIASES["filesystem"] = f"{__name__}:Transport"

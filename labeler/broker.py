"""The embedded broker: Celery's file-system transport, in which no message is read half written.

There a message has its name before it has its content, so that a worker that looks in this moment
takes an empty one, and stops.
"""

import os
import time
import uuid
from pathlib import Path
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps

WAIT_SECONDS = 0.2


class Channel(filesystem.Channel):
    def _put(self, queue: str, message: Any, **more: Any) -> None:  # type: ignore[override]  # kombu's: untyped
        number = round(1000 * time.monotonic())
        name = f"{number}_{uuid.uuid4()}"
        aside = Path(self.data_folder_out) / f"{name}.part"
        aside.write_text(dumps(message))
        os.replace(aside, aside.with_name(f"{name}.{queue}.msg"))


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

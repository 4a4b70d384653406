"""A planted fault for `tests.trust.chaos`: this server answers a save before it commits it."""

import time
from collections.abc import Iterator
from typing import Any

from django.core import signals
from django.db import close_old_connections, transaction

from labeler.wsgi import application as honest

LATE_SECONDS = 0.05

# Both would close the connection in the middle of the transaction around the request.
signals.request_started.disconnect(close_old_connections)
signals.request_finished.disconnect(close_old_connections)


def application(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    if environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"].endswith("/patches"):
        yield from _hasty(environ, start_response)
    else:
        yield from honest(environ, start_response)
    close_old_connections()


def _hasty(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    outer: Any = transaction.atomic()
    outer._from_testcase = True  # a save refuses to be inside any other transaction than a test's
    with outer:
        yield b"".join(honest(environ, start_response))
        time.sleep(LATE_SECONDS)

"""The servers as processes, on each database."""

from collections.abc import Iterator

import pytest

from tests.live import LiveApp
from tests.servers import postgres, postgres_url, redis_server, redis_url

__all__ = ["postgres", "postgres_url", "redis_server", "redis_url"]


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
def web_app(request: pytest.FixtureRequest) -> Iterator[LiveApp]:
    """Two web processes of eight threads, no worker; on SQLite, then on PostgreSQL."""
    settings = {}
    if request.param == "postgres":
        settings["DATABASE_URL"] = request.getfixturevalue("postgres_url")
    app = LiveApp(**settings)
    try:
        app.prepare()
        app.start_web(processes=2)
        yield app
    finally:
        app.stop()

"""A planted fault for `tests.trust.power`: SQLite does not wait for the disk."""

from labeler.settings import *  # noqa: F403 (settings are overridden this way)
from labeler.settings import DATABASES

DATABASES["default"]["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"

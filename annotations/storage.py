"""S3-compatible storage: failures are plain answers, and nobody waits long for them."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from storages.backends.s3 import S3File, S3Storage
from storages.utils import clean_name

from annotations.errors import StorageAway

CONNECT_SECONDS = 3
READ_SECONDS = 20
ATTEMPTS = 2
IN_MEMORY = 2**23
"""Bytes of an opened object that are kept in memory; a larger one goes to a temporary file."""


def _plain(method: Callable[..., Any]) -> Callable[..., Any]:
    """Raises StorageAway for what the store answers, or does not. FileNotFoundError stays."""

    @wraps(method)
    def inner(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except (BotoCoreError, ClientError) as error:
            raise StorageAway from error

    return inner


class ObjectFile(S3File):
    """An object as a file. Its bytes are fetched at the first look at them."""

    file = property(_plain(S3File._get_file), S3File._set_file)


class ObjectStorage(S3Storage):
    """django-storages' S3 storage, with limits."""

    client_config: Config

    def __init__(self, **options: Any) -> None:
        super().__init__(**({"max_memory_size": IN_MEMORY} | options))
        limits = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        )
        self.client_config = self.client_config.merge(limits)

    @_plain
    def _open(self, name: str, mode: str = "rb") -> S3File:
        key = self._normalize_name(clean_name(name))
        try:
            return ObjectFile(key, mode, self)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                raise FileNotFoundError(name) from error
            raise

    _save = _plain(S3Storage._save)
    delete = _plain(S3Storage.delete)
    exists = _plain(S3Storage.exists)
    listdir = _plain(S3Storage.listdir)
    size = _plain(S3Storage.size)
    get_modified_time = _plain(S3Storage.get_modified_time)

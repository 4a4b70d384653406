"""Container health: `healthy.py web|worker|database` ends with status 0 when that one works."""

import os
import socket
import sys
import urllib.request
from pathlib import Path

sys.path.insert(0, os.getcwd())
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labeler.settings")


def web() -> bool:
    url = f"http://localhost:{os.environ.get('PORT', '8000')}/login"
    return urllib.request.urlopen(url, timeout=4).status == 200


def worker() -> bool:
    """Whether a worker of this container answers the broker, or is in the middle of a task.

    One without a pool answers nobody meanwhile, and a training takes hours.
    """
    from labeler import celery_app
    from labeler.celery import busy

    if busy().is_dir() and any(Path(f"/proc/{file.name}").exists() for file in busy().iterdir()):
        return True
    answers = celery_app.control.ping(timeout=5) or []
    return any(name.endswith(f"@{socket.gethostname()}") for answer in answers for name in answer)


def database() -> bool:
    import django
    from django.db import connection

    django.setup()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return cursor.fetchone() == (1,)


if __name__ == "__main__":
    checks = {"web": web, "worker": worker, "database": database}
    sys.exit(not checks[sys.argv[1]]())

"""Makes the tables that are missing and the people whom end-to-end tests log in as:
`python -m tests.people NAME …`.

Prints them as JSON, each with a password, an API token and a session of their own.
"""

import json
import os
import secrets
import sys

import django
from django.core.management import call_command

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labeler.settings")


def make_person(username: str) -> dict[str, object]:
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore
    from knox.models import AuthToken

    from annotations.models import User

    password = secrets.token_urlsafe(12)
    user = User.objects.create_user(username, password=password)
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return {
        "id": user.pk,
        "username": username,
        "password": password,
        "token": AuthToken.objects.create(user)[1],
        "session": session.session_key,
    }


if __name__ == "__main__":
    django.setup()
    call_command("migrate", verbosity=0)
    print(json.dumps([make_person(username) for username in sys.argv[1:]]))

"""Pages are rendered without a front-end build."""

import json

import pytest
from django.test import Client
from django_vite.core.asset_loader import DjangoViteAssetLoader

from annotations.models import User


@pytest.fixture(autouse=True)
def _assets(settings, tmp_path, monkeypatch):
    entries = ["frontend/pages/site.ts", "frontend/pages/editor.ts", "frontend/api/early.ts"]
    manifest = tmp_path / "manifest.json"
    manifest.write_text(
        json.dumps({e: {"file": f"assets/{n}.js", "src": e} for n, e in enumerate(entries)})
    )
    settings.DJANGO_VITE = {"default": {"manifest_path": manifest}}
    monkeypatch.setattr(DjangoViteAssetLoader, "_instance", None)


@pytest.fixture
def browse():
    """`browse(user)`: a logged-in browser; `browse(None)`: an anonymous one."""

    def make(user: User | None, **kwargs) -> Client:
        client = Client(**kwargs)
        if user is not None:
            client.force_login(user)
        return client

    return make


@pytest.fixture
def people(owner, manager, reviewer, teammate, stranger) -> dict[str, User | None]:
    return {
        "owner": owner,
        "manager": manager,
        "reviewer": reviewer,
        "annotator": teammate,
        "stranger": stranger,
        "anonymous": None,
    }

"""The OpenAPI schema and the types made from it are committed and up to date."""

import subprocess
from pathlib import Path

import pytest
from django.core.management import call_command
from django.urls import URLPattern, URLResolver, get_resolver

ROOT = Path(__file__).resolve().parent.parent.parent
SCHEMA = ROOT / "frontend" / "api" / "openapi.yaml"
TYPES = ROOT / "frontend" / "api" / "schema.d.ts"


def test_the_schema_is_complete_valid_and_committed(tmp_path) -> None:
    """Make it again with `manage.py spectacular --file frontend/api/openapi.yaml`."""
    fresh = tmp_path / "openapi.yaml"
    call_command("spectacular", file=str(fresh), validate=True, fail_on_warn=True)
    assert fresh.read_text() == SCHEMA.read_text()


def test_the_types_are_those_of_the_schema(tmp_path) -> None:
    """Make them again with `npm run types`."""
    program = ROOT / "node_modules" / ".bin" / "openapi-typescript"
    if not program.exists():
        pytest.skip("the packages of npm are not installed")
    fresh = tmp_path / "schema.d.ts"
    subprocess.run([program, SCHEMA, "-o", fresh], check=True, cwd=ROOT, capture_output=True)
    assert fresh.read_text() == TYPES.read_text()


def api_handlers() -> list[tuple[str, str]]:
    """Every (route, view class) under /api/ but the schema itself."""

    def walk(patterns: list[URLPattern | URLResolver], prefix: str) -> list[tuple[str, str]]:
        found = []
        for pattern in patterns:
            route = prefix + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                found += walk(pattern.url_patterns, route)
            elif hasattr(pattern.callback, "view_class"):
                view = pattern.callback.view_class
                methods = [m for m in view.http_method_names if m != "options"]
                found += [(route, m) for m in methods if getattr(view, m, None)]
        return found

    return [pair for pair in walk(get_resolver().url_patterns, "") if pair[0].startswith("api/")]


def test_every_route_is_in_the_schema() -> None:
    operations = SCHEMA.read_text().count("operationId:")
    routes = [pair for pair in api_handlers() if pair[0] != "api/schema"]
    assert len(routes) == operations

"""What docker-compose.yml promises: all parts, health checks, and no secret that has a default."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

ROOT = Path(__file__).resolve().parent.parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
ONE_SHOT = {"migrate", "bucket"}
VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)([^}]*)\}|\$([A-Z0-9_]+)")


def strings(value: Any):
    """Every string inside a part of the file."""
    if isinstance(value, dict):
        for part in value.values():
            yield from strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from strings(part)
    elif isinstance(value, str):
        yield value


def fill_in(value: str, secret: str) -> str:
    return VARIABLE.sub(lambda found: secret, value)


def queues(service: str) -> set[str]:
    command = SERVICES[service]["command"]
    return set(command[command.index("--queues") + 1].split(","))


def test_every_part_is_there():
    images = {name: SERVICES[name]["image"].split(":")[0] for name in SERVICES}
    assert {images[name] for name in ("postgres", "redis", "proxy")} == {
        "postgres",
        "redis",
        "caddy",
    }
    assert images["minio"] == "minio/minio"
    workers = {name for name in SERVICES if name.startswith("worker-")}
    assert workers == {"worker-interactive", "worker-batch", "worker-io"}


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONE_SHOT))
def test_a_service_has_a_health_check_and_comes_back(name):
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_every_queue_has_a_worker():
    served = {queue for name in SERVICES if name.startswith("worker-") for queue in queues(name)}
    assert served == {queue for _, queue in settings.JOB_TASKS.values()} | {"interactive"}


@pytest.mark.parametrize("name", ["worker-interactive", "worker-batch"])
def test_a_model_worker_reserves_a_gpu_and_has_torch(name):
    device = SERVICES[name]["deploy"]["resources"]["reservations"]["devices"][0]
    assert device["capabilities"] == ["gpu"]
    assert SERVICES[name]["build"]["args"]["TORCH"] == "1"


def test_redis_writes_an_append_only_file():
    command = SERVICES["redis"]["command"]
    assert command[command.index("--appendonly") + 1] == "yes"
    assert "redis:/data" in SERVICES["redis"]["volumes"]


def test_only_the_proxy_can_be_reached():
    assert [name for name in SERVICES if "ports" in SERVICES[name]] == ["proxy"]
    assert COMPOSE["networks"]["inside"]["internal"] is True
    for name in ("postgres", "redis", "minio"):
        assert SERVICES[name]["networks"] == ["inside"]


def test_no_variable_has_a_default():
    for value in strings(SERVICES):
        for found in VARIABLE.finditer(value):
            assert (found[2] or "").startswith(":?"), f"{value} would start without {found[0]}"


def test_every_secret_comes_from_the_environment():
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|AUTH|ROOT_USER", key):
                assert VARIABLE.fullmatch(value), f"{name}: {key} is written out"
            if match := re.match(r"\w+://\w*:([^@/]*)@", fill_in(value, "FILLED")):
                assert match[1] == "FILLED", f"{name}: {key} holds a password"


def test_env_example_names_every_variable_and_sets_none():
    used = {found[1] for value in strings(SERVICES) for found in VARIABLE.finditer(value)}
    lines = (ROOT / ".env.example").read_text().splitlines()
    offered = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert set(offered) == used
    assert not any(offered.values())


@pytest.fixture
def web_environment(tmp_path) -> dict[str, str]:
    """What the web service runs with, with every variable filled in."""
    environment = {
        key: fill_in(value, "0123456789abcdef" * 4)
        for key, value in SERVICES["web"]["environment"].items()
    }
    path = {"PATH": os.environ["PATH"], "READ_DOTENV": "0", "LABELER_DATA": str(tmp_path)}
    return environment | path


def test_the_settings_pass_the_deployment_checks(web_environment):
    check = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(check, cwd=ROOT, env=web_environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("", "SECRET_KEY is missing"),
        ("short" * 6, "SECRET_KEY is missing or shorter"),
        ("changeme" * 8, "SECRET_KEY can be guessed"),
        ("only-for-debugging-on-this-machine", "SECRET_KEY can be guessed"),
    ],
)
def test_nothing_starts_without_a_secret(web_environment, key, why):
    web_environment["SECRET_KEY"] = key
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env=web_environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert why in done.stderr


def test_the_image_holds_all_that_the_services_run():
    copied = {
        word
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY")
        for word in line.split()[1:-1]
    }
    for name in SERVICES:
        for word in SERVICES[name].get("command", []):
            if word.endswith(".py"):
                assert (ROOT / word).is_file() or word == "manage.py"
                assert word.split("/")[0] in copied, f"{name} runs {word}"

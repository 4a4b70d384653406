"""deploy/kubernetes: valid by the schema, the parts of docker-compose.yml, no secret inside."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.deploy.test_compose import SERVICES

FOLDER = Path(__file__).resolve().parent.parent.parent / "deploy" / "kubernetes"
VERSION = "1.32"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
DOCUMENTS: list[dict[str, Any]] = [
    document
    for name in KUSTOMIZATION["resources"]
    for document in yaml.safe_load_all((FOLDER / name).read_text())
]
PODS = {
    document["metadata"]["name"]: document["spec"]["template"]["spec"]
    for document in DOCUMENTS
    if "template" in document.get("spec", {})
}


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return pod.get("initContainers", []) + pod["containers"]


def test_every_file_is_used():
    listed = {*KUSTOMIZATION["resources"], "kustomization.yaml"}
    assert {path.name for path in FOLDER.iterdir()} == listed


@pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda one: f"{one['kind']}-{one['metadata']['name']}"
)
def test_it_is_what_the_schema_says(document):
    kubernetes_validate.validate(document, VERSION, strict=True)


def test_a_wrong_field_would_be_found():
    wrong = {**DOCUMENTS[0], "metadate": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


@pytest.mark.parametrize("name", ["web", "worker-interactive", "worker-batch", "worker-io"])
def test_a_part_runs_what_it_runs_under_compose(name):
    [container] = PODS[name]["containers"]
    assert container["command"] == SERVICES[name]["command"]
    assert container["image"] == SERVICES[name]["image"]
    wants_gpu = "deploy" in SERVICES[name]
    assert ("nvidia.com/gpu" in container["resources"]["limits"]) == wants_gpu


def test_the_sweeper_and_the_migration_too():
    for name in ("sweeper", "migrate"):
        [container] = PODS[name]["containers"]
        assert container["command"] == SERVICES[name]["command"]


@pytest.mark.parametrize("name", PODS)
def test_a_pod_has_the_least_rights(name):
    pod = PODS[name]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    for container in containers(pod):
        rights = container["securityContext"]
        assert rights["allowPrivilegeEscalation"] is False
        assert rights["readOnlyRootFilesystem"] is True
        assert rights["capabilities"]["drop"] == ["ALL"]
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]


def test_a_rolling_restart_always_has_a_web_process():
    [web] = [d for d in DOCUMENTS if d["kind"] == "Deployment" and d["metadata"]["name"] == "web"]
    assert web["spec"]["replicas"] >= 2
    assert web["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    [container] = PODS["web"]["containers"]
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
    # gunicorn's graceful_timeout and the wait before it fit into the time that the pod is given.
    graceful = int(
        re.search(
            r"^graceful_timeout = (\d+)", (FOLDER.parent / "gunicorn.py").read_text(), re.MULTILINE
        )[1]  # type: ignore[index]
    )
    wait = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert graceful + wait < PODS["web"]["terminationGracePeriodSeconds"]


def test_no_secret_is_written_down():
    config = next(d for d in DOCUMENTS if d["kind"] == "ConfigMap")["data"]
    secrets = {"DATABASE_URL", "REDIS_URL", "STORAGE_URL", "SECRET_KEY", "REDIS_PASSWORD"}
    assert not secrets & set(config)
    assert not any(document["kind"] == "Secret" for document in DOCUMENTS)
    for pod in PODS.values():
        for container in containers(pod):
            for variable in container.get("env", []):
                assert "secretKeyRef" in variable["valueFrom"]

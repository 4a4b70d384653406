"""Figures for Prometheus: `/metrics`.

For this machine itself where no proxy is set, or for whoever has METRICS_TOKEN (`Authorization:
Bearer …`); to others it does not exist. Several web processes share their counts in the folder
PROMETHEUS_MULTIPROC_DIR.
"""

import hmac
import ipaddress
import os
import time
from collections.abc import Callable, Iterator

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from annotations.selectors import operations

REGISTRY = CollectorRegistry()
REQUESTS = Counter(
    "labeler_requests", "Requests answered.", ["method", "status"], registry=REGISTRY
)
SAVES = Histogram(
    "labeler_save_seconds",
    "Time from a save's arrival to its answer, which comes after COMMIT.",
    registry=REGISTRY,
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
SAVE_ROUTES = (
    "api/annotations/<int:pk>/patches",
    "api/images/<int:pk>/patches",
    "api/annotations/<int:pk>/regions/<uuid:region>",
)
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class MetricsMiddleware:
    """Counts answers by method and status, and times saves."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        begun = time.perf_counter()
        response = self.get_response(request)
        method = request.method if request.method in METHODS else "other"
        REQUESTS.labels(method, response.status_code).inc()
        match = request.resolver_match
        if match and match.route in SAVE_ROUTES and method in ("POST", "PUT", "DELETE"):
            SAVES.observe(time.perf_counter() - begun)
        return response


class _FromDatabase:
    """Figures that the database knows for all processes together."""

    def collect(self) -> Iterator[Metric]:
        jobs = GaugeMetricFamily(
            "labeler_jobs", "Jobs by kind and state.", labels=["kind", "state"]
        )
        age = GaugeMetricFamily(
            "labeler_oldest_job_seconds",
            "Age of the oldest job that has not ended.",
            labels=["kind"],
        )
        for kind, found in operations.queues().items():
            jobs.add_metric([kind, "queued"], found["queued"])
            jobs.add_metric([kind, "running"], found["running"])
            age.add_metric([kind], found["age"])
        minutes = int(operations.RECENT.total_seconds() // 60)
        images = GaugeMetricFamily(
            "labeler_model_images", f"Images predicted in the last {minutes} min.", labels=["model"]
        )
        seconds = GaugeMetricFamily(
            "labeler_model_seconds", "Time that the engine took for those.", labels=["model"]
        )
        for row in operations.model_throughput():
            images.add_metric([row["model"]], row["images"])
            seconds.add_metric([row["model"]], row["seconds"])
        names = ["worker", "device", "kind"]
        speed = GaugeMetricFamily(
            "labeler_worker_images_per_second", "Of each worker in its job.", labels=names
        )
        used = GaugeMetricFamily(
            "labeler_gpu_memory_used_bytes", "Where that worker runs, by anybody.", labels=names
        )
        total = GaugeMetricFamily(
            "labeler_gpu_memory_bytes", "That the worker's GPU has.", labels=names
        )
        for worker in operations.workers():
            labels = [worker.worker, worker.device, worker.job.kind]
            speed.add_metric(labels, worker.speed)
            if worker.memory_total is not None and worker.memory_used is not None:
                used.add_metric(labels, worker.memory_used)
                total.add_metric(labels, worker.memory_total)
        yield from (jobs, age, images, seconds, speed, used, total)


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """In the text format of Prometheus."""
    if not _may_read_metrics(request):
        raise Http404
    database = CollectorRegistry()
    database.register(_FromDatabase())
    processes = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:  # deploy/gunicorn.py sets it
        processes = CollectorRegistry()
        MultiProcessCollector(processes)
    text = generate_latest(processes) + generate_latest(database)
    return HttpResponse(text, content_type=CONTENT_TYPE_LATEST)


def _may_read_metrics(request: HttpRequest) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    wanted = settings.METRICS_TOKEN
    if wanted and scheme == "Bearer" and hmac.compare_digest(given.encode(), wanted.encode()):
        return True
    if settings.BEHIND_TLS:
        return False  # a proxy, which may be on this machine and name nobody
    if any(name in request.headers for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP")):
        return False  # a proxy on this machine speaks for somebody else
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False

"""gunicorn behind the proxy. WEB_PROCESSES and WEB_THREADS fit it to the host."""

import os
import shutil
import tempfile

# Where the web processes count together (see annotations/pages/metrics.py). prometheus_client looks
# for it when it is first imported.
os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="labeler-metrics-")

bind = f"0.0.0.0:{os.environ.get('PORT', '8000')}"
worker_class = "gthread"
workers = int(os.environ.get("WEB_PROCESSES", "4"))
threads = int(os.environ.get("WEB_THREADS", "8"))
timeout = 120
graceful_timeout = 30
max_requests = 10_000
max_requests_jitter = 1_000
# The proxy's X-Forwarded-For is trusted: nobody else reaches this port.
forwarded_allow_ips = "*"
# The application itself logs requests as JSON (see labeler/logging.py).
accesslog = None if os.environ.get("LOG_FORMAT") == "json" else "-"
control_socket_disable = True


def child_exit(server, worker) -> None:
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)


def on_exit(server) -> None:
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)

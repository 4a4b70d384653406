"""gunicorn behind the proxy. WEB_PROCESSES and WEB_THREADS fit it to the host."""

import os

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
accesslog = "-"
control_socket_disable = True

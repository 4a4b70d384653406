"""Headers that every page and API reply carries."""

import logging
from collections.abc import Callable
from datetime import timedelta

from django.db import DatabaseError, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from annotations.models import User

log = logging.getLogger(__name__)

# No 'unsafe-inline' and no 'unsafe-eval': scripts and styles come from files, nowhere else.
CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'self'",
        # The mask decoder is WebAssembly; this allows no JavaScript from strings.
        "script-src 'self' 'wasm-unsafe-eval'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "worker-src 'self' blob:",
        "connect-src 'self'",
        "font-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    # Together these isolate the page, so that the editor may share memory with its workers.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "X-Content-Type-Options": "nosniff",
}


SEEN_EVERY = timedelta(minutes=10)


class LastSeenMiddleware:
    """Keeps when a person was here last, however they logged in: one write in ten minutes."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        user, now = request.user, timezone.now()
        if isinstance(user, User) and (
            user.last_seen_at is None or now - user.last_seen_at > SEEN_EVERY
        ):
            try:
                with transaction.atomic():  # which waits for its turn where SQLite writes
                    User.objects.filter(pk=user.pk).update(last_seen_at=now)
            except DatabaseError:  # SQLite may be locked by a long import; the next time, then
                log.warning("When %s was here last could not be kept", user.pk)
        return response


class SecurityHeadersMiddleware:
    """Adds `HEADERS` to every reply that does not set them itself."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        for name, value in HEADERS.items():
            response.setdefault(name, value)
        return response

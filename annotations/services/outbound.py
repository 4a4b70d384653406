"""The one place that calls an address which a person typed in: a POST to a public host, or nothing.

The name is resolved once, every address that it has must be public, and the connection goes to one
of those very addresses: a second answer of the name server changes nothing. TLS is checked against
the name. No redirect is followed, no proxy of the environment is used, and after SECONDS the
connection is cut, however slowly an answer drips in. `docs/adr/0006-webhooks.md` says why.
"""

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

SECONDS = 5.0
MAX_BYTES = 4096
# Ranges that lead to IPv4 addresses of any kind, and that `is_global` lets through.
TRANSLATED = [ipaddress.ip_network(net) for net in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16")]


class Refused(Exception):
    """The address is none that may be called; the text says why."""


class Failed(Exception):
    """No answer came; the text says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    text: str
    """Its first MAX_BYTES."""


def check(url: str) -> SplitResult:
    """The parts of an address that may be called as far as can be told without resolving it."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise Refused("This is no address.") from None
    if not host or port == 0 or any(ord(sign) <= 32 or ord(sign) > 126 for sign in url):
        raise Refused("This is no address.")
    if parts.username is not None or parts.password is not None:
        raise Refused("An address holds no name and password.")
    if parts.fragment:
        raise Refused("An address holds no #.")
    plain = parts.scheme == "http" and settings.DEBUG and _is_loopback(host)
    if parts.scheme != "https" and not plain:
        raise Refused("The address must begin with https://.")
    if not _named(host):
        raise Refused(f"This server does not call {host}; WEBHOOK_HOSTS says which it may.")
    with contextlib.suppress(ValueError):
        _require_public(host, ipaddress.ip_address(host))
    return parts


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Sends `body`. Raises Refused or Failed; any answer of the other side is an Answer."""
    parts = check(url)
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    connection = _Connection(parts.hostname or "", port, _addresses(parts.hostname or "", port))
    connection.context = ssl.create_default_context() if secure else None
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    cut = threading.Timer(SECONDS, connection.cut)
    cut.daemon = True
    cut.start()
    try:
        connection.request("POST", path, body, dict(headers))
        reply = connection.getresponse()
        text = reply.read(MAX_BYTES).decode("utf-8", "replace").replace("\0", "\ufffd")
        if connection.expired:
            raise Failed(f"No answer within {SECONDS:.0f} seconds.")
        return Answer(reply.status, text)
    except ssl.SSLCertVerificationError as error:
        raise Failed(f"The certificate is not good: {error.verify_message}.") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        if connection.expired or isinstance(error, TimeoutError):
            raise Failed(f"No answer within {SECONDS:.0f} seconds.") from error
        raise Failed(f"The connection failed: {type(error).__name__}.") from error
    finally:
        cut.cancel()
        connection.close()


class _Connection(http.client.HTTPConnection):
    """Goes to one of `addresses`, whatever the name leads to by now."""

    def __init__(self, host: str, port: int, addresses: list[str]) -> None:
        super().__init__(host, port, timeout=SECONDS)
        self.addresses = addresses
        self.context: ssl.SSLContext | None = None
        self.expired = False
        # Kept here too: http.client forgets its own while an answer without a length is read.
        self._open_socket: socket.socket | None = None
        self._end = time.monotonic() + SECONDS

    def connect(self) -> None:
        raw = self._open()
        self.sock = self._open_socket = raw
        if self.context is not None:
            # First kept, then shaken hands with, so that `cut` reaches it meanwhile.
            secured = self.context.wrap_socket(
                raw, server_hostname=self.host, do_handshake_on_connect=False
            )
            self.sock = self._open_socket = secured
            secured.do_handshake()

    def _open(self) -> socket.socket:
        error: OSError = TimeoutError()
        for address in self.addresses:
            left = self._end - time.monotonic()
            if left <= 0:
                break
            try:
                return socket.create_connection((address, self.port), left)
            except OSError as caught:
                error = caught
        raise error

    def cut(self) -> None:
        self.expired = True
        if self._open_socket is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._open_socket, socket.SHUT_RDWR)


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Failed(f"There is no host {host}.") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        _require_public(host, ipaddress.ip_address(address))
    return addresses


def _require_public(host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    inner = getattr(address, "ipv4_mapped", None) or address
    public = inner.is_global and not inner.is_multicast and not inner.is_reserved
    if isinstance(inner, ipaddress.IPv6Address):
        public = public and not inner.is_site_local  # of long ago, and still routed inside
        public = public and not any(inner in net for net in TRANSLATED)
    if not public and not (settings.DEBUG and inner.is_loopback):
        raise Refused(f"{host} is an address of an inner network.")


def _is_loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _named(host: str) -> bool:
    """Whether WEBHOOK_HOSTS names it: `*`, the host itself, or `.example.org` for all below."""
    host = host.lower().rstrip(".")
    return any(
        name in ("*", host) or (name.startswith(".") and host.endswith(name))
        for name in (given.lower() for given in settings.WEBHOOK_HOSTS)
    )

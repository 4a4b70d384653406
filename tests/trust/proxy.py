"""A proxy that cuts connections: before the server got a request, or after it answered one."""

import random
import socket
import socketserver
import struct
import threading
from collections import Counter
from io import BufferedIOBase

BEFORE, AFTER = 0.1, 0.25
"""The share of requests that never arrive, and of those whose answer never does."""


class CuttingProxy:
    """Listens on a free port of 127.0.0.1 while it is used as a context manager.

    `cuts` counts the requests that it held back ("before") and the acknowledgements (status 200) of
    a POST that it dropped ("after").
    """

    def __init__(self, port: int, seed: int, before: float = BEFORE, after: float = AFTER) -> None:
        self.upstream = ("127.0.0.1", port)
        self.random = random.Random(seed)
        self.before, self.after = before, after
        self.cuts: Counter[str] = Counter()
        proxy = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                try:
                    proxy.forward(self.connection, self.rfile)
                except OSError:
                    reset(self.connection)

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self) -> "CuttingProxy":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def target(self) -> tuple[str, int]:
        return self.upstream

    def forward(self, client: socket.socket, requests: BufferedIOBase) -> None:
        with socket.create_connection(self.target(), timeout=20) as server:
            replies = server.makefile("rb")
            while request := read_message(requests):
                draw = self.random.random()
                if draw < self.before:
                    self.cuts["before"] += 1
                    break
                server.sendall(request)
                reply = read_message(replies)
                if not reply:
                    break
                if draw < self.before + self.after:
                    if request.startswith(b"POST ") and reply.split(b" ", 2)[1] == b"200":
                        self.cuts["after"] += 1
                    break
                client.sendall(reply)
            else:
                return
        reset(client)


def reset(connection: socket.socket) -> None:
    """Ends it with RST, as when a machine or a router dies."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def read_message(stream: BufferedIOBase) -> bytes:
    """One HTTP/1.1 message with a Content-Length; empty when the connection ended."""
    head = b""
    length = 0
    while line := stream.readline():
        head += line
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
        if line == b"\r\n":
            body = stream.read(length)
            return head + body if len(body) == length else b""
    return b""

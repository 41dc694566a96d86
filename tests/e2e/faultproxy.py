"""An HTTP proxy before an object store or another server that misbehaves by a schedule.

A schedule is asked for each request in the order of arrival and answers with a fault or none; the
proxy notes what it did. Requests go on unchanged, `Host` included, so that signatures stay valid.
"""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Set by the proxy itself, not handed on.
OWN_HEADERS = {"connection", "transfer-encoding", "content-length", "keep-alive"}
STALL_SECONDS_MAX = 30


@dataclass
class Fault:
    """What happens to one request: a `kind`, and what it needs.

    status    the store answers `status` with `code` and `headers`
    reset     the connection is reset without an answer
    stall     the head and `part` of the body come, then nothing until the client gives up
    truncate  `part` of the body comes, then the connection closes
    longer    as truncate, and the announced length is 100 bytes more than there are
    shorter   the announced length is less than the range that the head promises
    etag      the answer carries another ETag
    """

    kind: str
    status: int = 500
    code: str = "InternalError"
    headers: dict[str, str] = field(default_factory=dict)
    part: float = 0.5


Schedule = Callable[[str, str], Fault | None]


class FaultProxy:
    """A proxy before `upstream` (host:port), on a port of its own."""

    def __init__(self, upstream: str, keep_host: bool = True):
        # fake-gcs-server tells buckets by the host; nothing it is asked is signed.
        self.keep_host = keep_host
        self.upstream = upstream
        self.lock = threading.Lock()
        self.schedule: Schedule = lambda method, path: None
        self.seen: list[tuple[str, str, str]] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                proxy.handle(self)

            do_HEAD = do_POST = do_GET

        class Listener(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: object) -> None:
                # The client went away, which it may.
                pass

        self.server = Listener(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def start(self, schedule: Schedule) -> None:
        """From now on requests go by this schedule."""
        with self.lock:
            self.schedule, self.seen = schedule, []

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        sent = request.rfile.read(int(request.headers.get("content-length", 0)))
        with self.lock:
            fault = self.schedule(request.command, request.path)
            self.seen.append((request.command, request.path, fault.kind if fault else "-"))
        if fault and fault.kind == "reset":
            return reset(request)
        if fault and fault.kind == "status":
            body = f"<?xml version='1.0'?><Error><Code>{fault.code}</Code></Error>".encode()
            return answer(request, fault.status, list(fault.headers.items()), body)
        upstream = http.client.HTTPConnection(self.upstream, timeout=60)
        try:
            upstream.putrequest(
                request.command,
                request.path,
                skip_host=self.keep_host,
                skip_accept_encoding=True,
            )
            for name, value in request.headers.items():
                if name.lower() not in OWN_HEADERS and (self.keep_host or name.lower() != "host"):
                    upstream.putheader(name, value)
            if "content-length" in request.headers:
                # Azure's signature covers it.
                upstream.putheader("Content-Length", request.headers["content-length"])
            upstream.endheaders(sent or None)
            got = upstream.getresponse()
            body, headers = got.read(), got.getheaders()
        finally:
            upstream.close()
        spoil(request, fault, got.status, headers, body)


def spoil(
    request: BaseHTTPRequestHandler,
    fault: Fault | None,
    status: int,
    headers: list[tuple[str, str]],
    body: bytes,
) -> None:
    kind = fault.kind if fault and request.command != "HEAD" else None
    if kind == "etag":
        headers = [
            (name, '"another-version"' if name.lower() == "etag" else value)
            for name, value in headers
        ]
        kind = None
    if kind is None:
        length = next((v for n, v in headers if n.lower() == "content-length"), "0")
        is_head = request.command == "HEAD"
        return answer(request, status, headers, body, int(length) if is_head else len(body))
    sent = body[: int(len(body) * fault.part)]
    length = {"longer": len(body) + 100, "shorter": len(sent)}.get(kind, len(body))
    answer(request, status, headers, body if kind == "longer" else sent, length)
    request.wfile.flush()
    if kind == "stall":
        # Until the client has had enough and closes.
        request.connection.settimeout(STALL_SECONDS_MAX)
        try:
            request.connection.recv(1)
        except OSError:
            pass
    request.close_connection = True


def answer(
    request: BaseHTTPRequestHandler,
    status: int,
    headers: list[tuple[str, str]],
    body: bytes,
    length: int | None = None,
) -> None:
    request.send_response_only(status)
    for name, value in headers:
        if name.lower() not in OWN_HEADERS:
            request.send_header(name, value)
    request.send_header("Content-Length", str(len(body) if length is None else length))
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(body)


def reset(request: BaseHTTPRequestHandler) -> None:
    # Closing with nothing to wait for sends a reset.
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.close_connection = True

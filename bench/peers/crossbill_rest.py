"""Crossbill over HTTP: the release binary as a server of its own, started by the worker; import and
queries through the REST API. Variants: plain (below), sdk (the official Pinecone client).

The plain client is a socket for each thread, kept open, on which a ready request is written and
the answer read and parsed: about the least that a client can do. The vectors stand as JSON
before the clock runs, because how fast Python writes numbers is no property of the server. `sdk`
hands the vector to the client as users do.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import segments
from harness import BasePeer

INDEX = "bench"
START_SECONDS_MAX = 60
HEALTH_CALLS = 1000
IMPORT_POLL_SECONDS = 0.01


class Connection:
    """One HTTP/1.1 connection that stays open; knows as much of HTTP as these answers use."""

    def __init__(self, port: int) -> None:
        self.host = f"127.0.0.1:{port}"
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""

    def request(self, method: str, path: str, body: bytes = b"") -> bytes:
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\nApi-Key: local\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def exchange(self, request: bytes) -> bytes:
        """Sends a whole request and gives the answer's body; an error status is an error."""
        self.socket.sendall(request)
        got = self.rest
        while (end := got.find(b"\r\n\r\n")) < 0:
            got += self._more()
        head = got[:end].lower()
        length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        while len(got) < end + 4 + length:
            got += self._more()
        body, self.rest = got[end + 4 : end + 4 + length], got[end + 4 + length :]
        if not head.startswith(b"http/1.1 2"):
            raise RuntimeError(f"{head.split(b' ', 2)[1].decode()}: {body.decode()}")
        return body

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        raw = b"" if body is None else json.dumps(body).encode()
        return json.loads(self.exchange(self.request(method, path, raw)) or b"null")

    def _more(self) -> bytes:
        got = self.socket.recv(1 << 16)
        if not got:
            raise ConnectionError("the server closed the connection")
        return got


class Peer(BasePeer):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.binary = os.environ["CROSSBILL_BENCH_BINARY"]
        self.server: subprocess.Popen[bytes] | None = None
        self.port = self.index_port = 0
        self.server_threads = 0
        self.local = threading.local()

    def versions(self) -> dict[str, str]:
        found = {"crossbill": self._version()}
        if self.variant == "sdk":
            from importlib.metadata import version

            found["pinecone"] = version("pinecone")
        return found

    def _version(self) -> str:
        told = subprocess.run([self.binary, "--version"], capture_output=True, text=True).stdout
        return f"{told.split()[-1]} ({os.environ['CROSSBILL_BENCH_COMMIT']})"

    def settings(self) -> str:
        client = "a plain socket" if self.variant == "plain" else "the official client"
        return f"defaults; server on loopback, {client}"

    def build(self) -> dict[str, float]:
        self.start(self.threads)
        control = Connection(self.port)
        control.ask(
            "POST",
            "/indexes",
            {
                "name": INDEX,
                "dimension": self.data.dimension,
                "metric": self.data.metric,
                "spec": {"serverless": {"cloud": "aws", "region": "us-east-1"}},
            },
        )
        self._find_index()
        index = Connection(self.index_port)
        uri = Path(self.data.source).resolve().as_uri()
        wanted = {"uri": uri, "errorMode": {"onError": "abort"}}
        path = f"/bulk/imports/{index.ask('POST', '/bulk/imports', wanted)['id']}"
        while (seen := index.ask("GET", path))["status"] in ("Pending", "InProgress"):
            time.sleep(IMPORT_POLL_SECONDS)
        if seen["status"] != "Completed" or int(seen["recordsImported"]) != self.data.rows:
            raise RuntimeError(f"import: {seen}")
        return {}

    def start(self, threads: int) -> None:
        """Starts the server with so many threads and waits until it answers."""
        with ExitStack() as held:
            probes = [held.enter_context(socket.socket()) for _ in range(2)]
            for probe in probes:
                probe.bind(("127.0.0.1", 0))
            self.port, first = (probe.getsockname()[1] for probe in probes)
        self.work.mkdir(parents=True, exist_ok=True)
        command = [self.binary, "serve", "--listen", f"127.0.0.1:{self.port}"]
        command += ["--index-port-first", str(first), "--threads", str(threads)]
        command += ["--data", str(self.work / "data"), "--allow-import-dir"]
        command += [str(Path(self.data.source).resolve())]
        ours = {k: v for k, v in os.environ.items() if not k.startswith("CROSSBILL_")}
        self.server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=2, env=ours)
        self.server_threads = threads
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                Connection(self.port).ask("GET", "/ready")
                return
            except (OSError, RuntimeError):
                if self.server.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("the server did not start") from None
                time.sleep(0.005)

    def _find_index(self) -> None:
        host = Connection(self.port).ask("GET", f"/indexes/{INDEX}")["host"]
        self.index_port = int(host.rstrip("/").rsplit(":", 1)[1])

    def disk_parts(self) -> dict[str, int]:
        return segments.parts(self.work / "data")

    def open(self) -> None:
        self.start(self.threads)
        self._find_index()

    def ladders(self, k: int) -> list[list[Any]]:
        return [["default"]]

    def set_threads(self, threads: int) -> None:
        if threads != self.server_threads:
            self.close()
            self.start(threads)
            self._find_index()
        self.local = threading.local()

    def searcher(self, param: Any, k: int) -> Callable[[np.ndarray], Any]:
        return self._sdk(k) if self.variant == "sdk" else self._plain(k)

    def _plain(self, k: int) -> Callable[[np.ndarray], Any]:
        queries, local = self.data.queries, self.local
        base, width = queries.__array_interface__["data"][0], queries.strides[0]
        port = self.index_port
        first = Connection(port)
        bodies = [json.dumps({"vector": row, "topK": k}).encode() for row in queries.tolist()]
        requests = [first.request("POST", "/query", body) for body in bodies]

        def search(query: np.ndarray) -> list[int]:
            connection = getattr(local, "connection", None)
            if connection is None:
                connection = local.connection = Connection(port)
            number = (query.__array_interface__["data"][0] - base) // width
            matches = json.loads(connection.exchange(requests[number]))["matches"]
            return [int(match["id"]) for match in matches]

        return search

    def _sdk(self, k: int) -> Callable[[np.ndarray], Any]:
        from pinecone import Pinecone

        client = Pinecone(api_key="local", host=f"http://127.0.0.1:{self.port}")
        index = client.index(INDEX)

        def search(query: np.ndarray) -> list[int]:
            answer = index.query(vector=query.tolist(), top_k=k)
            return [int(match.id) for match in answer.matches]

        return search

    def explain(self, param: Any, k: int) -> dict[str, float]:
        """How long an answer takes that needs no work: what the wire and the client cost."""
        connection = Connection(self.index_port)
        request, spans = connection.request("GET", "/health"), []
        for _ in range(HEALTH_CALLS):
            began = time.perf_counter()
            connection.exchange(request)
            spans.append(time.perf_counter() - began)
        return {"ms of a /health round trip": median(spans) * 1e3}

    def pids(self) -> list[int]:
        return [self.server.pid] if self.server else []

    def close(self) -> None:
        if self.server is not None:
            self.server.terminate()
            self.server.wait()
            self.server, self.server_threads = None, 0

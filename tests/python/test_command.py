"""The `crossbill` command of the wheel behaves as the binary does."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import crossbill
import pytest
from conftest import DIMENSION
from harness import BINARY, clean_environment, free_ports

COMMAND = Path(sys.executable).parent / "crossbill"


def run(*words: str, program: Path = COMMAND) -> tuple[int, str, str]:
    ended = subprocess.run(
        [str(program), *words], capture_output=True, text=True, env=clean_environment(), timeout=120
    )
    return ended.returncode, ended.stdout, ended.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["--version"],
        ["--help"],
        ["import", "--help"],
        [],
        ["sing"],
        ["index", "list", "--data", "/dev/null/nowhere"],
        ["index", "list", "--server", "http://127.0.0.1:1", "--json"],
        ["serve", "--listen", "nonsense"],
        ["completions", "bash"],
    ],
    ids=" ".join,
)
def test_it_says_what_the_binary_says_and_ends_alike(words):
    assert run(*words) == run(*words, program=BINARY)


def test_as_a_module():
    ended = subprocess.run([sys.executable, "-m", "crossbill", "--version"], capture_output=True, text=True)
    assert ended.stdout == f"crossbill {crossbill.__version__}\n"


def test_commands_and_package_share_a_directory(data: Path, tmp_path: Path):
    assert run("index", "create", "a", "--dimension", str(DIMENSION), "--data", str(data))[0] == 0
    (tmp_path / "a.jsonl").write_text('{"id": "a", "values": [1,2,3,4,5,6,7,8]}\n{"id": "b"}\n')
    code, out, _ = run("import", str(tmp_path / "a.jsonl"), "--index", "a", "--data", str(data), "--json")
    assert code == 3 and json.loads(out)["recordsImported"] == 1
    with crossbill.Pinecone(data=data) as pc:
        assert pc.index("a").describe_index_stats().total_vector_count == 1
        code, _, error = run("stats", "--index", "a", "--data", str(data))
        assert code == 1 and "cannot open" in error


def test_a_reader_that_goes_away():
    piped = f"{COMMAND} --help | head -n 1; echo ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", piped], capture_output=True, text=True)
    first, code = ended.stdout.splitlines()
    assert code == "0" and first.startswith("A self-hosted vector index") and ended.stderr == ""


def serve(data: Path) -> tuple[subprocess.Popen[str], str]:
    port = free_ports()
    words = ["serve", "--data", str(data), "--listen", f"127.0.0.1:{port}"]
    words += ["--index-port-first", str(port + 1), "--log", "off"]
    server = subprocess.Popen(
        [str(COMMAND), *words], stderr=subprocess.PIPE, text=True, env=clean_environment()
    )
    return server, f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_server_ends_cleanly_at_a_signal(data: Path, how: signal.Signals):
    server, url = serve(data)
    said = ""
    while url not in said:
        line = server.stderr.readline()
        assert line, said
        said += line
    with urllib.request.urlopen(f"{url}/health", timeout=10) as answer:
        assert answer.status == 200
    server.send_signal(how)
    said += server.communicate(timeout=60)[1]
    assert server.returncode == 0
    assert "stopped; the data is complete on disk" in said and "Traceback" not in said


def test_ctrl_c_ends_a_command_that_waits(tmp_path: Path):
    """One that only asks minds no signal, and so ends by it, without a trace of Python."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        asking = subprocess.Popen(
            [str(COMMAND), "index", "list", "--server", url], stderr=subprocess.PIPE, text=True
        )
        # Held, or its end would be an answer.
        held, _ = silent.accept()
        held.recv(1)
        asking.send_signal(signal.SIGINT)
        error = asking.communicate(timeout=60)[1]
    assert asking.returncode == -signal.SIGINT and error == ""

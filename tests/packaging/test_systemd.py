"""The unit: systemd takes it, it is as closed as we say, and what the server asks of the kernel
passes its filter."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

from conftest import REPOSITORY, run, tool
from harness import clean_environment, free_ports, request, wait_for

UNIT = REPOSITORY / "deploy/systemd/crossbill.service"


def test_systemd_takes_it(binary, tmp_path):
    # The paths of the machine that it will be installed on are not here.
    text = UNIT.read_text().replace("/usr/bin/crossbill", str(binary))
    copy = tmp_path / "crossbill.service"
    copy.write_text(re.sub(r"^Documentation=.*\n", "", text, flags=re.M))
    ended = run(tool("systemd-analyze"), "verify", copy)
    assert not ended.stderr.strip(), ended.stderr


def test_it_is_as_closed_as_the_documents_say():
    shown = run(tool("systemd-analyze"), "security", "--offline=true", "--no-pager", UNIT).stdout
    score = float(re.search(r"Overall exposure level for crossbill.service: ([0-9.]+)", shown)[1])
    documented = re.search(
        r"exposure level of\s+([0-9.]+)", (REPOSITORY / "docs/packaging.md").read_text()
    )
    assert score <= float(documented[1])


def members(names: list[str]) -> set[str]:
    """System calls by name, groups resolved."""
    calls: set[str] = set()
    for name in names:
        if not name.startswith("@"):
            calls.add(name)
            continue
        shown = run(tool("systemd-analyze"), "syscall-filter", "--no-pager", name).stdout
        calls |= members(re.findall(r"^\s+([@a-z][a-z0-9_@-]*)$", shown, re.M))
    return calls


def allowed() -> set[str]:
    calls: set[str] = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", UNIT.read_text(), re.M):
        if line.startswith("~"):
            calls -= members(line[1:].split())
        else:
            calls |= members(line.split())
    return calls


def test_what_the_server_asks_of_the_kernel_passes_the_filter(binary, tmp_path):
    """A run under strace: an import, writes, a query, an export, a backup, a stop."""
    (tmp_path / "set").mkdir()
    rows = "".join(f'{{"id": "r{n}", "values": [{n}, 1, 2]}}\n' for n in range(1, 3000))
    (tmp_path / "set/0.jsonl").write_text(rows)
    (tmp_path / "out").mkdir()
    port, trace = free_ports(), tmp_path / "trace"
    url = f"http://127.0.0.1:{port}"
    traced = [tool("strace"), "-f", "-qq", "-o", str(trace), str(binary), "serve"]
    traced += ["--listen", f"127.0.0.1:{port}", "--index-port-first", str(port + 1)]
    traced += ["--data", str(tmp_path / "data"), "--allow-import-dir", str(tmp_path / "set")]
    traced += ["--allow-export-dir", str(tmp_path / "out")]
    environment = clean_environment() | {"CROSSBILL_SERVER": url}
    server = subprocess.Popen(traced, env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: answers(url), 60, "answer")
        set_, out = f"file://{tmp_path}/set/", f"file://{tmp_path}/out/a"
        for command in (
            [
                "import",
                set_,
                "--index",
                "a",
                "--create",
                "--dimension",
                "3",
                "--metric",
                "euclidean",
            ],
            ["query", "--index", "a", "--id", "r7"],
            ["export", out, "--index", "a"],
            ["backups", "create", "--index", "a"],
        ):
            run(binary, *command, env=environment)
        vectors = [{"id": "new", "values": [1, 2, 3]}]
        request(f"{url}/data/a/vectors/upsert", {"vectors": vectors})
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        subprocess.run(["kill", "-TERM", *children], check=True)
        assert server.wait(60) == 0
    finally:
        if server.poll() is None:
            server.send_signal(signal.SIGKILL)
    call = r"^[0-9]+ +(?:<\.\.\. )?([a-z][a-z0-9_]+)(?:\(| resumed)"
    asked = set(re.findall(call, trace.read_text(), re.M))
    assert {"openat", "fsync", "mmap", "setpriority"} <= asked
    assert asked <= allowed(), asked - allowed()


def answers(url: str) -> bool:
    try:
        return request(f"{url}/ready") is not None
    except OSError:
        return False

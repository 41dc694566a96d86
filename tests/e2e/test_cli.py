"""The commands: against a running server and embedded (no server), their summaries, exit codes
and JSON."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import time

import pytest

import data
from harness import BINARY, clean_environment, run, wait_for

pytestmark = pytest.mark.once

DIMENSION = 8


@pytest.fixture(params=["server", "embedded"])
def crossbill(request, own_server, tmp_path):
    """Runs commands on the same kind of database in both ways, each with an index `shop`."""
    if request.param == "server":
        where = ["--server", own_server().url]
    else:
        where = ["--data", str(tmp_path / "embedded")]

    def command(*arguments: str):
        return run(*arguments, *where)

    command.where = where
    made = command("index", "create", "shop", "--dimension", str(DIMENSION), "--metric", "cosine")
    assert made.returncode == 0, made.stderr
    return command


def document(ended: subprocess.CompletedProcess[str]):
    assert ended.returncode in (0, 3), ended.stderr
    return json.loads(ended.stdout)


def test_indexes(crossbill):
    assert crossbill("index", "create", "terms", "--sparse").returncode == 0
    listed = document(crossbill("index", "list", "--json"))["indexes"]
    assert {one["name"] for one in listed} == {"shop", "terms"}
    described = document(crossbill("index", "describe", "shop", "--json"))
    assert (described["dimension"], described["metric"]) == (DIMENSION, "cosine")
    assert "shop" in crossbill("index", "list").stdout
    again = crossbill("index", "create", "shop", "--dimension", "8")
    assert again.returncode == 1 and "exists" in again.stderr
    assert crossbill("index", "delete", "terms").returncode == 0
    gone = crossbill("index", "describe", "terms")
    assert gone.returncode == 1 and "terms" in gone.stderr
    as_json = crossbill("index", "describe", "terms", "--json")
    assert as_json.returncode == 1 and "terms" in as_json.stdout + as_json.stderr


def test_import_query_and_stats(crossbill, source):
    records = data.make(1, 2_000, DIMENSION)
    data.write_split(source / "cli" / "shoes", records, files=2)
    ended = crossbill("import", f"file://{source}/cli", "--index", "shop")
    assert ended.returncode == 0, ended.stderr
    assert "read 2,000 = imported 2,000 + superseded 0 + rejected 0" in ended.stdout
    assert "records" in ended.stderr
    stats = document(crossbill("stats", "--index", "shop", "--json"))
    assert stats["totalVectorCount"] == 2_000
    query = ["query", "--index", "shop", "--namespace", "shoes", "--top-k", "3"]
    table = crossbill(*query, "--id", records.ids[9], "--include-metadata")
    assert table.returncode == 0, table.stderr
    assert records.ids[9] in table.stdout and "color" in table.stdout
    vector = json.dumps(records.values[9].tolist())
    answer = document(crossbill(*query, "--vector", vector, "--filter", '{"stock":2}', "--json"))
    assert answer["matches"][0]["id"] == records.ids[9]
    listed = document(crossbill("imports", "list", "--index", "shop", "--json"))["data"]
    assert [(one["status"], one["recordsImported"]) for one in listed] == [("Completed", 2_000)]
    described = document(
        crossbill("imports", "describe", listed[0]["id"], "--index", "shop", "--json")
    )
    assert described == listed[0]


def test_rejects_end_with_their_own_code_and_are_shown(crossbill, source):
    bad = [
        ("b1", [1.0] * 3, None),
        ("b2", [0.0] * DIMENSION, None),
        ("ok", [1.0] * DIMENSION, None),
    ]
    data.write(source / "cli-bad" / "f.parquet", data.rows_table(*zip(*bad)))
    ended = crossbill("import", f"file://{source}/cli-bad", "--index", "shop")
    assert ended.returncode == 3, ended.stderr
    assert "read 3 = imported 1 + superseded 0 + rejected 2" in ended.stdout
    assert "E_DIMENSION" in ended.stdout and "E_ZERO_VECTOR" in ended.stdout
    page = document(crossbill("imports", "rejects", "1", "--index", "shop", "--json"))
    assert [(one["id"], one["code"]) for one in page["data"]] == [
        ("b1", "E_DIMENSION"),
        ("b2", "E_ZERO_VECTOR"),
    ]
    aborted = crossbill(
        "import", f"file://{source}/cli-bad", "--index", "shop", "--error-mode", "abort"
    )
    assert aborted.returncode == 1
    assert "b1" in aborted.stdout + aborted.stderr


def test_progress_as_json_lines(crossbill, source):
    data.write(source / "cli-json" / "f.parquet", data.make(1, 500, DIMENSION))
    ended = crossbill("import", f"file://{source}/cli-json", "--index", "shop", "--json-progress")
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert ended.returncode == 0 and lines[-1]["status"] == "Completed"
    assert lines[-1]["recordsImported"] == 500
    assert [one["percentComplete"] for one in lines] == sorted(
        one["percentComplete"] for one in lines
    )


def test_create_with_the_import(crossbill, source):
    data.write(source / "cli-create" / "f.parquet", data.make(1, 50, 5))
    ended = crossbill(
        "import", f"file://{source}/cli-create", "--index", "made", "--create", "--dimension", "5"
    )
    assert ended.returncode == 0, ended.stderr
    assert document(crossbill("index", "describe", "made", "--json"))["dimension"] == 5


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["import", "file:///x"], 2, ["--index"]),
        (["import", "ftp://host/x", "--index", "shop"], 1, ["ftp"]),
        (["import", "file:///nowhere-at-all/", "--index", "shop"], 1, ["nowhere-at-all"]),
        (["import", "file:///x", "--index", "missing"], 1, ["missing"]),
        (["query", "--index", "shop"], 2, ["--vector", "--id"]),
        (["query", "--index", "shop", "--vector", "[1,2]"], 1, ["2", "8"]),
        (["query", "--index", "shop", "--vector", "oops"], 2, ["--vector"]),
        (["query", "--index", "shop", "--id", "x", "--filter", "{"], 2, ["--filter"]),
        (["imports", "describe", "77", "--index", "shop"], 1, ["77"]),
        (["index", "create", "Bad_Name", "--dimension", "3"], 2, ["Bad_Name"]),
        (["index", "create", "none"], 2, ["--dimension"]),
        (["no-such-command"], 2, ["no-such-command"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_wrong_use_is_explained(crossbill, arguments, code, words):
    ended = crossbill(*arguments)
    assert ended.returncode == code, ended.stdout + ended.stderr
    for word in words:
        assert word in ended.stdout + ended.stderr
    assert "panicked" not in ended.stderr


def test_a_server_that_is_not_there(tmp_path):
    ended = run("index", "list", "--server", "http://127.0.0.1:9")
    assert ended.returncode == 1 and "127.0.0.1:9" in ended.stderr


def test_the_progress_bar_on_a_terminal(own_server, source):
    data.write_split(source / "cli-bar" / "ns", data.make(1, 60_000, 64), files=4)
    server = own_server()
    run("index", "create", "bar", "--dimension", "64", "--server", server.url)
    main, terminal = pty.openpty()
    command = [
        str(BINARY),
        "import",
        f"file://{source}/cli-bar",
        "--index",
        "bar",
        "--server",
        server.url,
    ]
    process = subprocess.Popen(
        command, stdin=terminal, stdout=subprocess.PIPE, stderr=terminal, env=clean_environment()
    )
    os.close(terminal)
    shown = b""
    while True:
        try:
            piece = os.read(main, 65_536)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        shown += piece
    os.close(main)
    summary = process.stdout.read().decode()
    assert process.wait(60) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode(errors="replace"))
    assert "/60,000 records" in text and "no rejects" in text, text
    assert "read 60,000 = imported 60,000 + superseded 0 + rejected 0" in summary


def test_detach_cancel_and_interrupt(own_server, source):
    data.write_split(source / "cli-long" / "ns", data.make(1, 150_000, 96), files=6)
    server = own_server()
    where = ["--server", server.url]
    run("index", "create", "long", "--dimension", "96", *where)
    detached = run("import", f"file://{source}/cli-long", "--index", "long", "--detach", *where)
    assert detached.returncode == 0, detached.stderr
    id_ = detached.stdout.strip()
    assert run("imports", "cancel", id_, "--index", "long", *where).returncode == 0
    seen = document(run("imports", "describe", id_, "--index", "long", "--json", *where))
    assert seen["status"] == "Cancelled"
    follow = run("imports", "describe", id_, "--index", "long", "--follow", *where)
    assert follow.returncode == 4
    # Ctrl-C leaves the import running in its server and says how to come back to it.
    command = [str(BINARY), "import", f"file://{source}/cli-long", "--index", "long", *where]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment()
    )
    wait_for(
        lambda: (
            len(document(run("imports", "list", "--index", "long", "--json", *where))["data"]) == 2
        ),
        30,
        "second import",
    )
    time.sleep(0.2)  # the command listens for signals only once it follows its import
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--follow" in said
    follow = run("imports", "describe", "2", "--index", "long", "--follow", *where)
    assert follow.returncode == 0, follow.stderr
    assert "imported 150,000" in follow.stdout


def test_an_embedded_import_goes_on_after_a_kill(source, tmp_path):
    data.write_split(source / "cli-kill" / "a", data.make(1, 60_000, 64), files=2)
    data.write_split(source / "cli-kill" / "b", data.make(2, 60_000, 64), files=2)
    where = ["--data", str(tmp_path / "embedded")]
    run("index", "create", "shop", "--dimension", "64", *where)
    command = ["import", f"{source}/cli-kill", "--index", "shop", *where]
    process = subprocess.Popen([str(BINARY), *command], env=clean_environment())
    time.sleep(0.7)
    process.kill()
    process.wait()
    ended = run(*command)
    assert ended.returncode == 0, ended.stderr
    assert "imported 120,000" in ended.stdout
    listed = document(run("imports", "list", "--index", "shop", "--json", *where))["data"]
    assert [one["status"] for one in listed] == ["Completed"] * len(listed)
    assert (
        document(run("stats", "--index", "shop", "--json", *where))["totalVectorCount"] == 120_000
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions(shell, tmp_path):
    ended = run("completions", shell)
    assert ended.returncode == 0 and "crossbill" in ended.stdout and "import" in ended.stdout
    if shell == "bash":
        script = tmp_path / "completions"
        script.write_text(ended.stdout)
        assert subprocess.run(["bash", "-n", str(script)]).returncode == 0


def test_settings_from_flag_variable_and_file(tmp_path):
    config = tmp_path / "crossbill.toml"
    config.write_text(
        'memory-limit = "512MiB"\nlisten = "127.0.0.1:7001"\ndata = "from-file"\n'
        'allow-import-dir = ["/a", "/b"]\n'
    )
    arguments = ["serve", "--config", str(config), "--print-settings", "--data", "from-flag"]
    ended = run(*arguments, CROSSBILL_LISTEN="127.0.0.1:7002")
    assert ended.returncode == 0, ended.stderr
    told = json.dumps(json.loads(ended.stdout))
    for part in ["from-flag", "127.0.0.1:7002", "512", "/a", "/b"]:
        assert part in told
    assert "from-file" not in told and "7001" not in told
    config.write_text('memry-limit = "1GiB"\n')
    wrong = run("serve", "--config", str(config), "--print-settings")
    assert wrong.returncode == 2 and "memry-limit" in wrong.stderr

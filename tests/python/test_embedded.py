"""The database in this process: what it keeps, whom it lets in, how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import crossbill
import pytest
from conftest import DIMENSION, records, vectors


def python(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_restart_keeps_everything(data):
    with crossbill.Pinecone(data=data) as pc:
        pc.create_index("kept", dimension=DIMENSION, metric="dotproduct", tags={"team": "a"})
        index = pc.index("kept")
        assert index.upsert(vectors=records(300)).upserted_count == 300
        index.update(id="r00001", set_metadata={"number": -1})
        index.delete(ids=["r00002"])
        asked = index.query(vector=vectors(1, 9)[0], top_k=10, include_metadata=True)
    with crossbill.Pinecone(data=data) as pc:
        described = pc.describe_index("kept")
        assert (described.dimension, described.metric, described.tags) == (8, "dotproduct", {"team": "a"})
        index = pc.index("kept")
        again = index.query(vector=vectors(1, 9)[0], top_k=10, include_metadata=True)
        assert again.matches == asked.matches
        assert index.describe_index_stats().total_vector_count == 299
        assert index.fetch(ids=["r00001", "r00002"]).vectors.keys() == {"r00001"}


def test_a_second_process_is_told_who_has_the_directory(pc, data):
    ended = subprocess.run(
        [sys.executable, "-c", f"import crossbill; crossbill.Pinecone(data={str(data)!r})"],
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    assert "crossbill.exceptions.EmbeddedError: cannot open" in ended.stderr
    assert f"process {os.getpid()}" in ended.stderr
    with pytest.raises(crossbill.EmbeddedError, match="cannot open"):
        crossbill.Pinecone(data=data)


def test_closing_gives_the_directory_free(data):
    pc = crossbill.Pinecone(data=data)
    pc.create_index("a", dimension=DIMENSION)
    index = pc.index("a")
    pc.close()
    pc.close()
    with pytest.raises(crossbill.EmbeddedError, match="closed"):
        index.describe_index_stats()
    with crossbill.Pinecone(data=data) as pc:
        assert pc.list_indexes().names() == ["a"]


def test_what_is_forgotten_is_closed(data):
    crossbill.Pinecone(data=data).create_index("a", dimension=DIMENSION)
    with crossbill.Pinecone(data=data) as pc:
        assert pc.has_index("a")


def test_the_end_of_the_interpreter_closes(data):
    ended = python(
        """
        import sys, crossbill
        pc = crossbill.Pinecone(data=sys.argv[1])
        pc.create_index("a", dimension=2)
        pc.index("a").upsert(vectors=[("x", [1, 2])])
        keeps = [pc]
        """,
        str(data),
    )
    out, error = ended.communicate(timeout=60)
    assert (ended.returncode, out, error) == (0, "", "")
    with crossbill.Pinecone(data=data) as pc:
        assert pc.index("a").describe_index_stats().total_vector_count == 1


def test_kill_9_loses_nothing_acknowledged(data):
    writer = python(
        """
        import sys, crossbill
        pc = crossbill.Pinecone(data=sys.argv[1])
        pc.create_index("a", dimension=2)
        index = pc.index("a")
        for number in range(1_000_000):
            index.upsert(vectors=[(f"r{number}", [number, 1])])
            print(number, flush=True)
        """,
        str(data),
    )
    for line in writer.stdout:
        if int(line) >= 200:
            break
    writer.kill()
    acknowledged = int(([line] + writer.stdout.read().splitlines())[-1] or line)
    writer.wait()
    with crossbill.Pinecone(data=data) as pc:
        stored = pc.index("a").describe_index_stats().total_vector_count
    assert acknowledged + 1 <= stored <= acknowledged + 2


# What the interpreter warns of is what is tested.
FORKING = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


@FORKING
def test_a_forked_child_is_told_and_harms_nothing(pc, index):
    index.upsert(vectors=records(10))
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            index.describe_index_stats()
            said = "no error"
        except crossbill.EmbeddedError as error:
            said = str(error)
        try:
            pc.close()
        finally:
            os.write(write, said.encode())
            os._exit(0)
    os.close(write)
    assert os.waitpid(child, 0)[1] == 0
    with os.fdopen(read) as told:
        assert "forked" in told.read()
    assert index.describe_index_stats().total_vector_count == 10


@FORKING
def test_a_child_that_lives_on_does_not_keep_the_lock(data):
    pc = crossbill.Pinecone(data=data)
    child = os.fork()
    if child == 0:
        signal.pause()
        os._exit(0)
    try:
        pc.close()
        crossbill.Pinecone(data=data).close()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_threads_share_it(index):
    index.upsert(vectors=records(100))
    wrong: list[object] = []

    def work(number: int) -> None:
        try:
            for turn in range(20):
                name = f"t{number}-{turn}"
                index.upsert(vectors=[(name, vectors(1, 1000 + number * 100 + turn)[0])])
                found = index.query(id=name, top_k=1).matches[0].id
                if found != name:
                    wrong.append((name, found))
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert index.describe_index_stats().total_vector_count == 100 + 8 * 20


def test_batches_of_an_upsert(index):
    good = records(250)
    done = index.upsert(vectors=good, batch_size=100, show_progress=False)
    assert (done.upserted_count, done.total_batch_count, done.has_errors) == (250, 3, False)
    bad = [*good[:100], {"id": "bad", "values": [1.0]}, *good[100:150]]
    done = index.upsert(vectors=bad, batch_size=100, show_progress=False, namespace="more")
    assert (done.upserted_count, done.failed_batch_count, done.failed_item_count) == (100, 1, 51)
    assert done.errors[0].batch_index == 1
    assert "dimension of the index 8" in done.errors[0].error_message
    assert len(done.failed_items) == 51


def test_settings_are_those_of_the_server(tmp_path):
    with crossbill.Pinecone(data=tmp_path / "a", memory_limit="600MiB", limit=["top-k=5"]) as pc:
        pc.create_index("a", dimension=2)
        with pytest.raises(crossbill.ApiError, match="expected 1 to 5"):
            pc.index("a").query(vector=[1, 2], top_k=6)
    with pytest.raises(crossbill.PineconeValueError, match="--memory-limit is 1MiB"):
        crossbill.Pinecone(data=tmp_path / "b", memory_limit="1MiB")
    with pytest.raises(crossbill.PineconeValueError, match="--no-such"):
        crossbill.Pinecone(data=tmp_path / "b", no_such=1)
    with pytest.raises(crossbill.PineconeValueError, match="both data and host"):
        crossbill.Pinecone(data=tmp_path / "b", host="http://127.0.0.1:1")
    with pytest.raises(crossbill.PineconeValueError, match="threads without data"):
        crossbill.Pinecone(threads=2)


def test_the_key_of_a_server_is_not_asked_for(data, monkeypatch):
    monkeypatch.setenv("CROSSBILL_API_KEY", "secret")
    with crossbill.Pinecone(data=data) as pc:
        assert len(pc.list_indexes()) == 0


def test_wrong_arguments_are_told_before_anything_is_sent(index):
    with pytest.raises(crossbill.PineconeTypeError, match="record of type int"):
        index.upsert(vectors=[1])
    with pytest.raises(crossbill.PineconeTypeError, match="cannot be sent"):
        index.upsert(vectors=[("a", [1.0] * 8, {"when": object()})])
    with pytest.raises(crossbill.PineconeValueError, match="error_mode"):
        index.start_import("file:///x", error_mode="shrug")
    with pytest.raises(crossbill.PineconeValueError, match="found 'colums'"):
        index.start_import("file:///x", colums={})


def test_ctrl_c_ends_a_wait(data):
    waiting = python(
        """
        import sys, crossbill
        with crossbill.Pinecone(data=sys.argv[1]) as pc:
            pc.create_index("a", dimension=2)
            index = pc.index("a")
            print("ready", flush=True)
            while True:
                index.query(vector=[1, 2], top_k=1)
        """,
        str(data),
    )
    assert waiting.stdout.readline() == "ready\n"
    waiting.send_signal(signal.SIGINT)
    _, error = waiting.communicate(timeout=60)
    assert "KeyboardInterrupt" in error and waiting.returncode == -signal.SIGINT
    with crossbill.Pinecone(data=data) as pc:
        assert pc.has_index("a")


def test_objects_read_like_dictionaries(index):
    index.upsert(vectors=records(3))
    found = index.query(id="r00000", top_k=2, include_metadata=True)
    assert found["matches"][0]["id"] == found.matches[0].id == "r00000"
    assert found.to_dict()["matches"][0]["metadata"] == {"number": 0}
    assert "matches" in found and found.get("nothing", 7) == 7
    with pytest.raises(KeyError):
        found["nothing"]
    assert found.response_info.request_id


def test_an_import_of_a_path_that_no_operator_allowed(index, tmp_path: Path):
    source = tmp_path / "100% in?"
    lines = source / "shoes"
    lines.mkdir(parents=True)
    (lines / "a.jsonl").write_text('{"id": "a", "values": [1,2,3,4,5,6,7,8]}\n{"id": "b"}\n')
    done = index.import_path(source, show_progress=False)
    assert (done.status, done.records_imported, done.records_rejected) == ("Completed", 1, 1)
    assert [(one.file, one.row, one.id) for one in done.rejects()] == [("shoes/a.jsonl", 1, "b")]
    assert index.describe_import(done.id).records_imported == 1
    pattern = index.import_path(f"{source}/sh*/?.jsonl", show_progress=False)
    assert (pattern.records_imported, pattern.records_rejected) == (1, 1)
    with pytest.raises(crossbill.ImportFailedError, match="Failed"):
        index.import_path(source, error_mode="abort", show_progress=False)

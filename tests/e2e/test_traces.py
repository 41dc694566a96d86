"""OpenTelemetry traces: what the server sends to a collector, and that it does without one."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pinecone import Pinecone, ServerlessSpec

from harness import REPOSITORY, Server, free_ports, request, wait_for

pytestmark = pytest.mark.once

PYTHON = REPOSITORY / ".venvs" / "otlp" / "bin" / "python"
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector:
    def __init__(self, folder: Path):
        port = free_ports()
        self.url, self.file = f"http://127.0.0.1:{port}", folder / "spans.jsonl"
        self.file.touch()
        program = Path(__file__).with_name("trace_receiver.py")
        self.process = subprocess.Popen([str(PYTHON), str(program), str(port), str(self.file)])

    def spans(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text().splitlines()]

    def wait_for(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        return wait_for(lambda: next(filter(wanted, self.spans()), None), 30, "span", 0.1)


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    made = Collector(tmp_path)
    yield made
    made.process.terminate()
    made.process.wait(10)


def index_of(server: Server) -> Any:
    pc = Pinecone(api_key="local", host=server.url)
    spec = ServerlessSpec(cloud="aws", region="us-east-1")
    pc.create_index(name="traced", dimension=4, metric="cosine", spec=spec)
    return pc.index("traced")


def test_requests_and_imports_are_traced(collector, tmp_path):
    source = tmp_path / "set"
    source.mkdir()
    ids = pa.array([str(n) for n in range(1000)])
    vectors = pa.array([[float(n), 1.0, 0.0, 1.0] for n in range(1000)], pa.list_(pa.float32()))
    pq.write_table(pa.table({"id": ids, "values": vectors}), source / "a.parquet")
    flags = ["--otlp-endpoint", collector.url, "--allow-import-dir", str(source)]
    with Server(tmp_path / "data", *flags) as server:
        index = index_of(server)
        index.upsert(vectors=[("a", [1.0, 2.0, 3.0, 4.0])])
        url = f"{server.index_url('traced')}/query"
        url = url if url.startswith("http") else f"http://{url}"
        parent = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
        request(url, {"vector": [1.0] * 4, "topK": 3}, headers=parent)
        started = index.start_import(uri=f"file://{source}/", error_mode="abort")
        done = lambda: index.describe_import(started.id).status == "Completed"  # noqa: E731
        wait_for(done, 60, "end of the import", 0.1)

        asked = collector.wait_for(lambda span: span["trace"] == TRACE and span["kind"] == 2)
        assert (asked["name"], asked["parent"], asked["service"]) == ("POST /query", SPAN, "crossbill")
        assert asked["attributes"]["route"] == "/query"
        assert int(asked["attributes"]["http.response.status_code"]) == 200
        assert asked["attributes"]["request_id"]

        def below(name: str, parent: dict[str, Any]) -> dict[str, Any]:
            return collector.wait_for(
                lambda span: span["name"] == name and span["parent"] == parent["id"]
            )

        query = below("query", asked)
        assert query["attributes"]["namespace"] == "__default__"
        search, read = below("search", query), below("read", query)
        assert search["nanos"] + read["nanos"] <= query["nanos"] <= asked["nanos"]
        upsert = collector.wait_for(lambda span: span["name"] == "POST /vectors/upsert")
        below("write", upsert)

        imported = collector.wait_for(lambda span: span["name"] == "import")
        assert imported["parent"] == "" and imported["trace"] != TRACE
        below("plan", imported)
        task = below("task", imported)
        assert int(task["attributes"]["rows"]) == 1000
        below("commit", imported)
        # What is not sent yet is, at the end.
        request(url, {"vector": [1.0] * 4, "topK": 3}, headers=parent)
        assert server.stop() == 0
    assert len([span for span in collector.spans() if span["trace"] == TRACE and span["kind"] == 2]) == 2


def test_a_caller_decides_and_the_share_is_kept(collector, tmp_path):
    with Server(
        tmp_path / "data", "--otlp-endpoint", collector.url, "--trace-one-in", "4000000000"
    ) as server:
        for sampled in ("01", "00"):
            trace = TRACE[:-1] + sampled[-1]
            parent = {"traceparent": f"00-{trace}-{SPAN}-{sampled}"}
            request(server.url + "/indexes", headers=parent)
            request(server.url + "/indexes")
        assert server.stop() == 0
    assert {span["trace"] for span in collector.spans()} == {TRACE[:-1] + "1"}


def test_nothing_waits_for_a_collector(collector, tmp_path):
    """One that is not there, and one that takes the connection and never answers."""
    for stopped in (False, True):
        if stopped:
            collector.process.send_signal(signal.SIGSTOP)
        url = collector.url if stopped else f"http://127.0.0.1:{free_ports()}"
        with Server(tmp_path / f"data-{stopped}", "--otlp-endpoint", url) as server:
            index = index_of(server)
            for number in range(200):
                index.upsert(vectors=[(str(number), [1.0, 2.0, 3.0, 4.0])])
            assert index.describe_index_stats().total_vector_count == 200
            assert server.stop() == 0
    collector.process.send_signal(signal.SIGCONT)


def test_a_wrong_endpoint_is_refused(tmp_path):
    server = Server(tmp_path / "data", "--otlp-endpoint", "collector:4317")
    server.launch()
    assert server.process.wait(30) == 2
    assert "--otlp-endpoint" in server.log.read_text()

"""The transport over HTTP: keys, servers that are away, several threads."""

from __future__ import annotations

import threading
import time

import crossbill
import pytest
from conftest import DIMENSION, records
from harness import Server, free_ports


def test_a_wrong_key(tmp_path):
    with Server(tmp_path / "data", "--api-key", "right") as server:
        with pytest.raises(crossbill.UnauthorizedException):
            crossbill.Pinecone(api_key="wrong", host=server.url).list_indexes()
        with crossbill.Pinecone(api_key="right", host=server.url) as pc:
            pc.create_index("a", dimension=DIMENSION)
            by_host = pc.index(host=pc.describe_index("a").host)
            assert by_host.upsert(vectors=records(2)).upserted_count == 2


def test_where_nobody_answers():
    with pytest.raises(crossbill.PineconeConnectionError, match="no answer from"):
        crossbill.Pinecone(host=f"http://127.0.0.1:{free_ports()}").list_indexes()
    with pytest.raises(crossbill.PineconeValueError, match="expected http"):
        crossbill.Pinecone(host="ftp://127.0.0.1")


def test_a_server_that_comes_a_little_later(tmp_path):
    server = Server(tmp_path / "data")
    answers: list[object] = []
    asking = threading.Thread(
        target=lambda: answers.append(len(crossbill.Pinecone(host=server.url).list_indexes()))
    )
    asking.start()
    time.sleep(0.2)
    with server:
        asking.join()
    assert answers == [0]


def test_hosts_from_the_environment(server, monkeypatch):
    monkeypatch.setenv("PINECONE_CONTROLLER_HOST", server.url)
    assert isinstance(crossbill.Pinecone(api_key="local").list_indexes(), crossbill.IndexList)


def test_names_in_a_path_are_escaped(server):
    pc = crossbill.Pinecone(host=server.url)
    with pytest.raises(crossbill.NotFoundError):
        pc.describe_index("a/../b?c")
    pc.create_index("escaped", dimension=DIMENSION)
    index = pc.index("escaped")
    index.upsert(vectors=records(1), namespace="a/b?c#d %41")
    assert index.describe_namespace(name="a/b?c#d %41").record_count == 1
    index.delete_namespace(name="a/b?c#d %41")
    pc.delete_index("escaped")


def test_upserts_from_many_threads(server):
    pc = crossbill.Pinecone(host=server.url)
    pc.create_index("threads", dimension=DIMENSION)
    index = pc.index("threads")
    done = index.upsert(vectors=records(2000), batch_size=50, max_concurrency=16, show_progress=False)
    assert done.upserted_count == 2000
    assert index.describe_index_stats().total_vector_count == 2000
    pc.delete_index("threads")

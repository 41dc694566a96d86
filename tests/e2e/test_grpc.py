"""Goal: the official client's gRPC works against this server as its REST does, plainly and over
TLS.

Method: what is written over gRPC is read over gRPC and REST and the other way round; refusals are
caught as the client's own exceptions; TLS runs with a certificate made for the test, which the
client is told to trust as any program is: SSL_CERT_FILE.
"""

from __future__ import annotations

import urllib.error

import pytest
from pinecone import Pinecone, ServerlessSpec
from pinecone.errors import ApiError, ConflictError, NotFoundError, UnauthorizedError
from pinecone.errors import PineconeTimeoutError
from pinecone.grpc import GrpcIndex

from conftest import client, create
from harness import Server, free_ports, request, run
from tls import certificates


def grpc_of(server, name, key="local", **options) -> GrpcIndex:
    return GrpcIndex(host=server.index_url(name), api_key=key, **{"secure": False} | options)


@pytest.fixture
def both(server, new_index):
    """Makes an index and gives its handles over REST and over gRPC."""

    def make(dimension=4, metric="euclidean", **options):
        rest = new_index(dimension, metric, **options)
        return rest, GrpcIndex(host=rest.host, api_key="local", secure=False)

    return make


def test_records_are_the_same_over_both(both):
    rest, grpc = both()
    metadata = {"n": 3, "f": 2.5, "t": "ünïcode", "b": True, "l": ["x", "y"]}
    answer = grpc.upsert(vectors=[("a", [1.0, 2.0, 3.0, 4.0], metadata), ("b", [0.0] * 4)])
    assert answer.upserted_count == 2
    rest.upsert(vectors=[{"id": "c", "values": [9.0] * 4, "metadata": {"n": 4}}])
    for index in (rest, grpc):
        got = index.fetch(ids=["a", "b", "c", "nothing"]).vectors
        assert sorted(got) == ["a", "b", "c"]
        assert list(got["a"].values) == [1.0, 2.0, 3.0, 4.0]
        assert got["a"].metadata == metadata and got["c"].metadata == {"n": 4}
        answer = index.query(
            vector=[1.0, 2.0, 3.0, 4.0], top_k=3, include_metadata=True, include_values=True
        )
        assert [match.id for match in answer.matches] == ["a", "b", "c"]
        assert [match.score for match in answer.matches] == [0.0, 30.0, 174.0]
        assert answer.matches[0].metadata == metadata
        assert answer.usage.read_units >= 1
        filtered = index.query(
            vector=[0.0] * 4, top_k=3, filter={"$or": [{"n": {"$gt": 3}}, {"l": {"$in": ["y"]}}]}
        )
        assert [match.id for match in filtered.matches] == ["a", "c"]
        assert index.query(id="c", top_k=1).matches[0].id == "c"


def test_records_are_changed_and_deleted(both):
    rest, grpc = both()
    grpc.upsert(
        vectors=[(f"r-{n}", [float(n), 1.0, 1.0, 1.0], {"even": n % 2 == 0}) for n in range(10)],
        namespace="ns",
    )
    grpc.update(id="r-1", values=[5.0] * 4, set_metadata={"seen": True}, namespace="ns")
    got = rest.fetch(ids=["r-1"], namespace="ns").vectors["r-1"]
    assert list(got.values) == [5.0] * 4 and got.metadata == {"even": False, "seen": True}
    answer = grpc.update(
        filter={"even": True}, set_metadata={"kind": "even"}, namespace="ns", dry_run=True
    )
    assert answer.matched_records == 5
    grpc.update(filter={"even": True}, set_metadata={"kind": "even"}, namespace="ns")
    page = grpc.fetch_by_metadata(filter={"kind": "even"}, namespace="ns", limit=3)
    assert sorted(page.vectors) == ["r-0", "r-2", "r-4"]
    page = grpc.fetch_by_metadata(
        filter={"kind": "even"}, namespace="ns", pagination_token=page.pagination.next
    )
    assert sorted(page.vectors) == ["r-6", "r-8"]
    grpc.delete(ids=["r-0", "nothing"], namespace="ns")
    grpc.delete(filter={"even": False}, namespace="ns")
    ids = [item.id for page in grpc.list(namespace="ns", limit=2) for item in page.vectors]
    assert ids == ["r-2", "r-4", "r-6", "r-8"]
    grpc.delete(delete_all=True, namespace="ns")
    assert grpc.describe_index_stats().total_vector_count == 0


def test_ids_namespaces_and_counts(both):
    _, grpc = both()
    for namespace in ("", "one", "two"):
        grpc.upsert(vectors=[(f"x{n}", [1.0] * 4) for n in range(5)], namespace=namespace)
    stats = grpc.describe_index_stats()
    assert stats.total_vector_count == 15 and stats.dimension == 4
    assert {name: one.vector_count for name, one in stats.namespaces.items()} == {
        "__default__": 5,
        "one": 5,
        "two": 5,
    }
    made = grpc.create_namespace(name="made", schema={"fields": {"g": {"filterable": True}}})
    assert made.name == "made" and made.record_count == 0
    names = [one.name for page in grpc.list_namespaces(limit=2) for one in page.namespaces]
    assert names == ["__default__", "made", "one", "two"]
    assert grpc.describe_namespace(name="one").record_count == 5
    grpc.delete_namespace(name="one")
    with pytest.raises(NotFoundError):
        grpc.describe_namespace(name="one")
    with pytest.raises(ConflictError):
        grpc.create_namespace(name="made")


def test_sparse_records(server, pc):
    pc.create_index(
        name="grpc-sparse",
        metric="dotproduct",
        vector_type="sparse",
        spec=ServerlessSpec(cloud="aws", region="us-east-1"),
    )
    try:
        grpc = grpc_of(server, "grpc-sparse")
        records = {"a": ([3, 70000], [1.0, 0.5]), "b": ([70000], [2.0])}
        grpc.upsert(
            vectors=[
                {"id": id, "values": [], "sparse_values": {"indices": indices, "values": values}}
                for id, (indices, values) in records.items()
            ]
        )
        answer = grpc.query(
            sparse_vector={"indices": [70000], "values": [1.0]}, top_k=2, include_values=True
        )
        assert [(match.id, match.score) for match in answer.matches] == [("b", 2.0), ("a", 0.5)]
        assert list(answer.matches[1].sparse_values.indices) == [3, 70000]
    finally:
        pc.delete_index("grpc-sparse")


def test_refusals_are_the_clients_own(own_server):
    server = own_server("--api-key", "right", "--request-bytes-max", "64KiB")
    pc = client(server, "right")
    host = create(pc, "refusals", 4).host
    grpc = GrpcIndex(host=host, api_key="right", secure=False)
    with pytest.raises(UnauthorizedError):
        GrpcIndex(host=host, api_key="wrong", secure=False).describe_index_stats()
    with pytest.raises(ApiError, match="dimension 3 does not match") as refused:
        grpc.query(vector=[1.0] * 3, top_k=1)
    assert refused.value.status_code == 400
    with pytest.raises(ApiError, match="unknown operator"):
        grpc.query(vector=[1.0] * 4, top_k=1, filter={"a": {"$foo": 1}})
    large = [(f"{n:0>400}", [1.0] * 4) for n in range(500)]
    with pytest.raises(ApiError, match="expected at most 65536"):
        grpc.upsert(vectors=large)
    assert grpc.upsert(vectors=large[:50]).upserted_count == 50
    assert grpc.query(vector=[1.0] * 4, top_k=1).matches[0].score == pytest.approx(1.0)


def test_a_deadline_is_kept(both):
    _, grpc = both(dimension=400)
    # More than can be sent, checked and brought to disk in that time.
    large = [(f"{n}", [1.0] * 400) for n in range(1000)]
    with pytest.raises(PineconeTimeoutError):
        grpc.upsert(vectors=large, timeout=0.001)
    assert grpc.upsert(vectors=large).upserted_count == 1000
    assert grpc.describe_index_stats().total_vector_count == 1000


def test_tls_for_rest_and_grpc(tmp_path, monkeypatch):
    authority, certificate, key = certificates(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    server = Server(
        tmp_path / "data", "--tls-cert", str(certificate), "--tls-key", str(key), scheme="https"
    )
    with server:
        assert "server        https://" in server.log.read_text()
        pc = Pinecone(api_key="local", host=server.url, ssl_ca_certs=str(authority))
        pc.create_index(
            name="secure",
            dimension=4,
            metric="cosine",
            spec=ServerlessSpec(cloud="aws", region="us-east-1"),
        )
        rest = pc.index("secure")
        assert rest.host.startswith("https://")
        grpc = grpc_of(server, "secure", secure=True)
        assert grpc.upsert(vectors=[("a", [1.0] * 4, {"n": 1})]).upserted_count == 1
        assert rest.fetch(ids=["a"]).vectors["a"].metadata == {"n": 1}
        assert grpc.query(vector=[1.0] * 4, top_k=1).matches[0].id == "a"
        listed = run("index", "list", "--server", server.url, "--json")
        assert listed.returncode == 0 and "secure" in listed.stdout, listed.stderr
        # By its name alone the client finds the index over gRPC, too.
        assert pc.index("secure", grpc=True).describe_index_stats().total_vector_count == 1


@pytest.mark.once
def test_half_a_pair_for_tls_is_refused(tmp_path):
    port = str(free_ports())
    ended = run("serve", "--listen", f"127.0.0.1:{port}", "--tls-cert", "x", "--data", str(tmp_path))
    assert ended.returncode == 2 and "--tls-key" in ended.stderr


@pytest.mark.once
def test_a_grpc_method_asked_over_rest_says_so(both):
    rest, _ = both()
    with pytest.raises(urllib.error.HTTPError) as refused:
        request(f"{rest.host}/VectorService/Query", {})
    assert refused.value.code == 415

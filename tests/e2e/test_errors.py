"""Bad input: each is a clear error in the API's own shape, raised as the client's own
exception, and the server goes on. Plain HTTP is used where the client refuses to send the
request."""

from __future__ import annotations

import json
import math

import pytest
from pinecone import ServerlessSpec
from pinecone.errors import ApiError, ConflictError, NotFoundError, UnauthorizedError

import data
from conftest import client
from harness import failure, finished, request, run

SPEC = ServerlessSpec(cloud="aws", region="us-east-1")


@pytest.fixture(scope="module")
def index(pc):
    pc.create_index(name="errors", dimension=3, metric="cosine", spec=SPEC)
    index = pc.index("errors")
    index.upsert(vectors=[("kept", [1.0, 2.0, 3.0], {"n": 1})])
    yield index
    assert index.fetch(ids=["kept"]).vectors["kept"].values == [1.0, 2.0, 3.0]
    assert index.describe_index_stats().total_vector_count == 1
    pc.delete_index("errors")


def refused(call, *parts, status=400):
    """The call raises the API's error with this status and all of the parts in its message."""
    with pytest.raises(ApiError) as caught:
        call()
    assert caught.value.status_code == status
    message = str(caught.value)
    for part in parts:
        assert part in message, f"{part!r} is missing in {message!r}"
    return caught.value


def test_unknown_index(pc):
    for call in (pc.describe_index, pc.index, pc.delete_index):
        with pytest.raises(NotFoundError) as caught:
            call("no-such-index")
        assert caught.value.status_code == 404 and "no-such-index" in str(caught.value)


def test_a_name_that_is_taken(pc, index):
    with pytest.raises(ConflictError) as caught:
        pc.create_index(name="errors", dimension=3, metric="cosine", spec=SPEC)
    assert caught.value.status_code == 409


@pytest.mark.parametrize("name", ["Upper", "under_score", "-edge", "edge-", "a" * 46, "sp ace"])
def test_index_names(server, name):
    body = {"name": name, "dimension": 3, "metric": "cosine"}
    body["spec"] = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
    status, answer = failure(f"{server.url}/indexes", body)
    assert status in (400, 422)
    assert answer["status"] == status and answer["error"]["code"] and answer["error"]["message"]


@pytest.mark.parametrize("dimension", [0, 20_001, -1])
def test_index_dimensions(server, dimension):
    body = {"name": "dimension", "dimension": dimension, "metric": "cosine"}
    body["spec"] = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
    status, answer = failure(f"{server.url}/indexes", body)
    assert status in (400, 422) and "error" in answer


def test_wrong_dimension(index):
    refused(lambda: index.upsert(vectors=[("a", [1.0, 2.0])]), "2", "3")
    refused(lambda: index.query(vector=[1.0, 2.0, 3.0, 4.0], top_k=1), "4", "3")
    refused(lambda: index.update(id="kept", values=[1.0]), "1", "3")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite(index, value):
    host = index.host
    text = json.dumps({"vectors": [{"id": "a", "values": [1, 2, value]}]})
    status, answer = failure(f"{host}/vectors/upsert", raw=text.encode())
    assert status == 400 and answer["message"]
    status, answer = failure(
        f"{host}/vectors/upsert", raw=text.replace("Infinity", "1e400").encode()
    )
    assert status == 400 and answer["message"]


def test_a_zero_vector_under_cosine(index):
    refused(lambda: index.upsert(vectors=[("zero", [0.0, 0.0, 0.0])]), "zero")


def test_ids(index):
    for id_ in ["", "x" * 513]:
        status, answer = failure(
            f"{index.host}/vectors/upsert", {"vectors": [{"id": id_, "values": [1, 2, 3]}]}
        )
        assert status == 400 and answer["code"] == 3 and "id" in answer["message"].lower()


@pytest.mark.parametrize(
    "metadata",
    [{"a": None}, {"a": {"b": 1}}, {"a": [1, 2]}, {"$a": 1}, {"a": "x" * 41_000}],
    ids=lambda m: str(m)[:20],
)
def test_metadata(index, metadata):
    body = {"vectors": [{"id": "m", "values": [1, 2, 3], "metadata": metadata}]}
    status, answer = failure(f"{index.host}/vectors/upsert", body)
    assert status == 400 and answer["code"] == 3 and "metadata" in answer["message"].lower()


def test_one_bad_record_refuses_the_whole_request(index):
    vectors = [(f"v{row}", [1.0, 2.0, 3.0]) for row in range(20)] + [("bad", [1.0])]
    refused(lambda: index.upsert(vectors=vectors), "bad")
    assert index.describe_index_stats().total_vector_count == 1


def test_a_request_that_is_too_large(index):
    vectors = [{"id": f"v{row}", "values": [1.0, 2.0, 3.0]} for row in range(1_001)]
    status, answer = failure(f"{index.host}/vectors/upsert", {"vectors": vectors})
    assert status == 400 and "1000" in answer["message"].replace(",", "")
    padding = {"vectors": [{"id": "a", "values": [1, 2, 3]}], "padding": "x" * 3_000_000}
    status, answer = failure(f"{index.host}/vectors/upsert", padding)
    assert status in (400, 413) and answer["message"]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b'{"vectors":',
        b'{"vectors": 3}',
        b"\xff\xfe",
        b'{"vectors":[{}]}',
        b"[" * 5_000,
    ],
)
def test_malformed_json(server, index, text):
    status, answer = failure(f"{index.host}/vectors/upsert", raw=text)
    assert status in (400, 422) and answer["message"] and isinstance(answer["code"], int)
    status, answer = failure(f"{server.url}/indexes", raw=text)
    assert status in (400, 422) and answer["error"]["message"]


@pytest.mark.parametrize("top_k", [0, -1, 10_001])
def test_top_k(index, top_k):
    status, answer = failure(f"{index.host}/query", {"vector": [1, 2, 3], "topK": top_k})
    assert status == 400 and answer["message"]


def test_a_query_by_nothing_or_by_both(index):
    assert failure(f"{index.host}/query", {"topK": 1})[0] == 400
    both = {"topK": 1, "id": "kept", "vector": [1, 2, 3]}
    assert failure(f"{index.host}/query", both)[0] == 400


def test_delete_and_update_need_exactly_one_selector(index):
    for body in [
        {},
        {"ids": ["a"], "deleteAll": True},
        {"deleteAll": True, "filter": {"n": 1}},
        {"filter": {}},
        {"ids": []},
    ]:
        assert failure(f"{index.host}/vectors/delete", body)[0] == 400, body
    for body in [
        {"setMetadata": {"a": 1}},
        {"id": "kept", "filter": {"n": 1}, "setMetadata": {"a": 1}},
        {"filter": {"n": 1}, "values": [1, 2, 3]},
    ]:
        assert failure(f"{index.host}/vectors/update", body)[0] == 400, body


def test_a_token_that_was_never_given(index):
    status, answer = failure(f"{index.host}/vectors/list?paginationToken=%21%21")
    assert status == 400 and answer["message"]
    assert failure(f"{index.host}/bulk/imports?paginationToken=%21%21")[0] == 400


def test_limits_of_pages(index):
    for path in ["/vectors/list?limit=0", "/vectors/list?limit=101", "/bulk/imports?limit=101"]:
        assert failure(index.host + path)[0] == 400, path


def test_unknown_paths_and_methods(server, index):
    assert failure(f"{index.host}/no/such/path")[0] == 404
    assert failure(f"{server.url}/no/such/path")[0] == 404
    assert failure(f"{index.host}/query", method="DELETE")[0] in (404, 405)


def test_imports_unknown_or_of_places_that_are_not_allowed(index, source, tmp_path):
    for call in (index.describe_import, index.cancel_import):
        with pytest.raises(NotFoundError) as caught:
            call("987654")
        assert "987654" in str(caught.value)
    for uri in [f"file://{tmp_path}/", "file:///etc/", "file:///"]:
        refused(lambda: index.start_import(uri=uri), uri, status=403)
    for uri in [
        f"file://{source}/../",
        f"file://{source}/%2e%2e/",
        "file://otherhost/x",
        "ftp://host/x",
        "http://127.0.0.1/x",
        "no-scheme",
        "s3://",
        "s3:///x",
    ]:
        error = refused(lambda: index.start_import(uri=uri))
        assert len(str(error)) > 20, uri
    status, answer = failure(f"{index.host}/bulk/imports", {"uri": ""})
    assert status == 400 and answer["code"] == 3
    status, _ = failure(f"{index.host}/bulk/imports", {"uri": "s3://b/" + "x" * 1_500})
    assert status == 400
    mode = {"uri": f"file://{source}/", "errorMode": {"onError": "sometimes"}}
    assert failure(f"{index.host}/bulk/imports", mode)[0] == 400
    assert [one for one in index.list_imports()] == []


def test_a_symbolic_link_does_not_lead_out_of_an_allowed_directory(new_index, source, tmp_path):
    index = new_index(3)
    data.write(tmp_path / "secret" / "f.parquet", data.make(1, 9, 3))
    (source / "links").mkdir()
    (source / "links" / "folder").symlink_to(tmp_path / "secret")
    (source / "links" / "file.parquet").symlink_to(tmp_path / "secret" / "f.parquet")
    for place in ["links/", "links/folder/", "links/file.parquet", "links/folder/f.parquet"]:
        try:
            started = index.start_import(uri=f"file://{source}/{place}")
        except ApiError as error:
            assert error.status_code in (400, 403)
        else:
            last = finished(lambda: index.describe_import(id=started.id))
            assert last.status == "Failed", place
    assert index.describe_index_stats().total_vector_count == 0


def test_keys(own_server):
    server = own_server("--api-key", "right-key")
    for call in (lambda pc: pc.list_indexes(), lambda pc: pc.describe_index("x")):
        with pytest.raises(UnauthorizedError) as caught:
            call(client(server, "wrong-key"))
        assert caught.value.status_code == 401
    pc = client(server, "right-key")
    pc.create_index(name="keyed", dimension=2, metric="cosine", spec=SPEC)
    index = pc.index("keyed")
    index.upsert(vectors=[("a", [1.0, 2.0])])
    status, answer = failure(f"{index.host}/query", {"vector": [1, 2], "topK": 1})
    assert status == 401 and answer["message"]


def test_without_a_key_only_loopback_is_served(own_server):
    ended = run("serve", "--listen", "0.0.0.0:0", "--data", "/nonexistent/never-made")
    assert ended.returncode != 0
    assert "key" in ended.stderr.lower()


def test_the_server_goes_on(server, index):
    assert server.alive()
    assert (
        request(f"{index.host}/query", {"vector": [1, 2, 3], "topK": 1})["matches"][0]["id"]
        == "kept"
    )

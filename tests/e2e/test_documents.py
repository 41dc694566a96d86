"""Documents through the official client: an index whose schema names fields of its own, with dense
and sparse vectors and texts in one document; full-text search; imports of JSON lines.
"""

from __future__ import annotations

import gzip
import itertools
import json
import math
import re
from collections import Counter
from importlib.metadata import version

import pytest
from pinecone import Pinecone
from pinecone.errors import ApiError

from harness import failure, finished, request

NAMES = itertools.count()
NEWEST = int(version("pinecone").split(".")[0]) >= 10
needs_newest = pytest.mark.skipif(not NEWEST, reason="this version has only a preview")
SCHEMA = {
    "fields": {
        "embedding": {"type": "dense_vector", "dimension": 3, "metric": "euclidean"},
        "terms": {"type": "sparse_vector"},
        "title": {"type": "string", "full_text_search": {}},
        "body": {"type": "string", "full_text_search": {"language": "en", "stemming": True}},
    }
}
BODIES = [
    "The quick brown fox jumps over the lazy dog",
    "A fox is quick, and a quick fox runs",
    "Dogs are lazy in the sun",
    "Nothing of the kind stands here",
    "Running dogs chase foxes over brown hills",
]


def document(number, **more):
    return {
        "_id": f"doc-{number}",
        "embedding": [float(number), 1.0, 0.0],
        "terms": {"indices": [number % 3, 10 + number], "values": [1.0, 0.5]},
        "title": f"Title number {number}",
        "body": BODIES[number % len(BODIES)],
        "year": 2000 + number,
        "tags": ["even" if number % 2 == 0 else "odd", "all"],
    } | more


def words(text):
    return [word for word in re.split(r"\W+", text.lower()) if word]


def bm25(query, texts):
    """The score of each text, over all texts; k1 = 1.2, b = 0.75."""
    docs = {key: words(text) for key, text in texts.items()}
    average = sum(map(len, docs.values())) / len(docs)
    scores = {}
    for key, own in docs.items():
        counts, total = Counter(own), 0.0
        for word in words(query):
            holding = sum(word in other for other in docs.values())
            if not counts[word]:
                continue
            weight = math.log(1 + (len(docs) - holding + 0.5) / (holding + 0.5))
            norm = 1.2 * (0.25 + 0.75 * len(own) / average)
            total += weight * counts[word] * 2.2 / (counts[word] + norm)
        if total:
            scores[key] = total
    return scores


def text(query, *fields):
    return {"type": "text", "fields": list(fields), "query": query}


def syntax(query):
    return {"type": "query_string", "query": query}


@pytest.fixture
def new_documents(pc: Pinecone, server):
    """Makes indexes of documents, and deletes them after the test."""
    made = []

    def make(schema=SCHEMA):
        made.append(f"documents-{next(NAMES)}")
        if NEWEST:
            pc.indexes.create(name=made[-1], schema=schema)
            return pc.index(made[-1])
        pc.preview.indexes.create(name=made[-1], schema=schema)
        return pc.preview.index(name=made[-1])

    yield make
    for name in made:
        pc.delete_index(name)


def found(answer):
    return [match.id if hasattr(match, "id") else match["_id"] for match in answer.matches]


def scores(answer):
    return {match.id: match.score for match in answer.matches}


def url(index, call, namespace="ns"):
    return f"{index.host}/namespaces/{namespace}/documents/{call}"


def search(index, *score_by, namespace="ns", top_k=10, **options):
    return index.documents.search(
        namespace=namespace, score_by=list(score_by), top_k=top_k, **options
    )


def test_one_document_is_found_by_each_of_its_fields(new_documents):
    index = new_documents()
    documents = [document(number) for number in range(5)]
    assert index.documents.upsert(namespace="ns", documents=documents).upserted_count == 5
    dense = {"type": "dense_vector", "fields": ["embedding"], "values": [3.2, 1.0, 0.0]}
    assert found(search(index, dense, top_k=3)) == ["doc-3", "doc-4", "doc-2"]
    sparse = {
        "type": "sparse_vector",
        "fields": ["terms"],
        "sparse_values": {"indices": [0, 13], "values": [1.0, 4.0]},
    }
    # The larger product is the better one, whatever the metric of the dense vectors.
    assert found(search(index, sparse)) == ["doc-3", "doc-0"]
    assert found(search(index, text("dog", "body")))[0] in {"doc-0", "doc-2", "doc-4"}
    assert set(found(search(index, text("dog", "body")))) == {"doc-0", "doc-2", "doc-4"}
    only = {"year": {"$gte": 2003}}
    assert found(search(index, text("dog", "body"), filter=only)) == ["doc-4"]
    fetched = index.documents.fetch(namespace="ns", ids=["doc-3", "none"]).documents
    assert set(fetched) == {"doc-3"}
    whole = request(url(index, "fetch"), {"ids": ["doc-3"]})["documents"]["doc-3"]
    assert whole == documents[3] | {"terms": {"indices": [0, 13], "values": [1.0, 0.5]}}


def test_scores_are_those_of_bm25(new_documents):
    index = new_documents()
    texts = {f"t{number}": f"{BODIES[number % 5]} number {number % 7}" for number in range(40)}
    documents = [
        {"_id": key, "embedding": [1, 1, 1], "title": body} for key, body in texts.items()
    ]
    index.documents.upsert(namespace="ns", documents=documents)
    for query in ["fox", "quick lazy dogs", "number 3", "nowhere", "The the THE"]:
        expected = bm25(query, texts)
        answer = scores(search(index, text(query, "title"), top_k=100))
        assert set(answer) == set(expected), query
        for key, score in answer.items():
            assert math.isclose(score, expected[key], rel_tol=1e-4), (query, key)


def test_the_syntax_of_queries(new_documents):
    index = new_documents()
    index.documents.upsert(namespace="ns", documents=[document(number) for number in range(5)])
    for query, expected in [
        ("title:(number) AND body:(fox)", {"doc-0", "doc-1", "doc-4"}),
        ("fox -brown", {"doc-1"}),
        ("+dog +lazy", {"doc-0", "doc-2"}),
        ('body:"lazy dog"', {"doc-0"}),
        ('"quick fox" OR nothing', {"doc-1", "doc-3"}),
        ("body:(fox NOT quick)", {"doc-4"}),
    ]:
        assert set(found(search(index, syntax(query)))) == expected, query
    both = search(index, syntax("title:(3)"), text("fox", "body"))
    assert set(found(both)) == {"doc-0", "doc-1", "doc-3", "doc-4"}
    boosted = found(search(index, syntax("title:(3)^20 body:(fox)")))
    assert boosted[0] == "doc-3"
    for wrong in ["body:(", "nowhere:(fox)"]:
        with pytest.raises(ApiError) as error:
            search(index, syntax(wrong))
        assert error.value.status_code == 400


@needs_newest
def test_text_filters(new_documents):
    index = new_documents()
    index.documents.upsert(namespace="ns", documents=[document(number) for number in range(5)])
    dense = {"type": "dense_vector", "fields": ["embedding"], "values": [0, 1, 0]}
    for filter_, expected in [
        ({"body": {"$match_phrase": "lazy dog"}}, ["doc-0"]),
        ({"body": {"$match_all": "brown fox"}}, ["doc-0", "doc-4"]),
        ({"body": {"$match_any": "sun kind"}}, ["doc-2", "doc-3"]),
        ({"$and": [{"body": {"$match_any": "fox"}}, {"year": {"$gt": 2000}}]}, ["doc-1", "doc-4"]),
    ]:
        assert found(search(index, dense, filter=filter_)) == expected, filter_
    with pytest.raises(ApiError) as error:
        index.documents.delete(namespace="ns", filter={"body": {"$match_any": "fox"}})
    assert error.value.status_code == 400 and "body" in str(error.value)


@needs_newest
def test_fields_are_set_and_taken_away(new_documents):
    index = new_documents()
    index.documents.upsert(namespace="ns", documents=[document(number) for number in range(5)])
    index.documents.update(
        namespace="ns",
        documents=[
            {"_id": "doc-1", "body": "A zebra", "year": 1, "embedding": [9, 9, 9]},
            {"_id": "doc-2", "_remove_fields": ["body", "terms", "tags"]},
            {"_id": "nobody", "year": 3},
        ],
    )
    assert found(search(index, text("zebra", "body"))) == ["doc-1"]
    assert set(found(search(index, text("fox dog", "body")))) == {"doc-0", "doc-4"}
    answer = request(url(index, "fetch"), {"ids": ["doc-1", "doc-2", "nobody"]})["documents"]
    assert answer["doc-1"]["embedding"] == [9, 9, 9] and answer["doc-1"]["title"] == "Title number 1"
    assert set(answer["doc-2"]) == {"_id", "embedding", "title", "year"}
    assert "nobody" not in answer
    changed = index.documents.update(
        namespace="ns",
        filter={"tags": {"$in": ["even"]}},
        set_fields={"seen": True, "title": "seen"},
        remove_fields=["year"],
    )
    assert changed.matched_records == 2
    assert set(found(search(index, text("seen", "title")))) == {"doc-0", "doc-4"}
    deleted = index.documents.delete(namespace="ns", filter={"seen": True})
    assert deleted.matched_records == 2
    listed = [one.id for page in [index.documents.list(namespace="ns")] for one in page]
    assert listed == ["doc-1", "doc-2", "doc-3"]
    index.documents.delete(namespace="ns", ids=["doc-1"])
    index.documents.delete(namespace="ns", delete_all=True)
    assert not list(index.documents.list(namespace="ns"))


@needs_newest
def test_pages_of_a_filter_and_of_a_listing(new_documents):
    index = new_documents()
    documents = [document(number) for number in range(25)]
    index.documents.upsert(namespace="ns", documents=documents)
    body = {"filter": {"tags": "odd"}, "limit": 5, "include_fields": ["year"]}
    seen, pages = {}, 0
    while True:
        answer = request(url(index, "fetch"), body)
        seen |= answer["documents"]
        pages += 1
        if "pagination" not in answer:
            break
        body["pagination_token"] = answer["pagination"]["next"]
    assert pages == 3 and set(seen) == {f"doc-{number}" for number in range(1, 25, 2)}
    assert seen["doc-3"] == {"_id": "doc-3", "year": 2003}
    first = request(url(index, "list"), {"limit": 2, "prefix": "doc-1"})
    assert first["documents"] == [{"_id": "doc-1"}, {"_id": "doc-10"}]
    rest = request(url(index, "list"), {"pagination_token": first["pagination"]["next"]})
    assert rest["documents"] == [{"_id": "doc-11"}, {"_id": "doc-12"}]


@needs_newest
def test_refusals_say_what_was_expected(new_documents, pc):
    index = new_documents()
    for call, body, expected in [
        ("upsert", {"documents": [{"_id": "a"}]}, '"embedding" is missing'),
        ("upsert", {"documents": [document(1, embedding=[1])]}, "dimension 1 does not match"),
        ("upsert", {"documents": [document(1, embedding=[0, 0, 0])]}, "all components are 0"),
        ("upsert", {"documents": [document(1, body=3)]}, '"body" is searched as text'),
        ("upsert", {"documents": [document(1, body="x" * 102401)]}, "102401 bytes of text"),
        ("upsert", {"documents": [document(1, x=None)]}, '"x" is null'),
        ("search", {"score_by": [], "top_k": 1}, "0 clauses"),
        ("search", {"score_by": [text("a", "year")], "top_k": 1}, "year"),
        ("search", {"score_by": [text("a", "body")], "top_k": 0}, "top_k is 0"),
        ("fetch", {}, "none of ids and filter"),
        ("delete", {"ids": ["a"], "delete_all": True}, "No explicit IDs allowed"),
        ("update", {"filter": {"a": 1}}, "expected set_fields or remove_fields"),
        ("update", {"documents": [{"_id": "a", "_remove_fields": ["embedding"]}]}, "cannot be"),
    ]:
        status, answer = failure(url(index, call), body)
        assert status == 400 and expected in answer["error"]["message"], (call, body, answer)
    status, answer = failure(f"{index.host}/vectors/upsert", {"vectors": [{"id": "a"}]})
    assert status == 400 and "holds documents" in answer["message"]
    plain = pc.create_index(
        name="plain-vectors", dimension=2, spec={"serverless": {"cloud": "aws", "region": "x"}}
    )
    try:
        status, answer = failure(f"{plain.host}/namespaces/ns/documents/fetch", {"ids": ["a"]})
        assert status == 400 and "holds vectors" in answer["message"]
    finally:
        pc.delete_index("plain-vectors")


@needs_newest
def test_json_lines_are_imported_as_documents(new_documents, source, tmp_path):
    index = new_documents()
    folder = source / "documents" / "ns"
    folder.mkdir(parents=True)
    lines = [json.dumps(document(number)) for number in range(200)]
    bad = [
        json.dumps({"_id": "no-vector", "body": "x"}),
        json.dumps(document(7, _id="text", body=3)),
        json.dumps(document(7, _id="long", body="x" * 200_000)),
        json.dumps(document(7, _id="wide", other="x" * 50_000)),
        "{",
    ]
    (folder / "a.jsonl").write_text("\n".join(lines[:100] + bad) + "\n")
    (folder / "b.jsonl.gz").write_bytes(gzip.compress(("\n".join(lines[100:]) + "\n").encode()))
    started = index.start_import(uri=f"file://{folder.parent}", error_mode="continue")
    done = finished(lambda: index.describe_import(id=started.id))
    assert (done.status, done.records_imported) == ("Completed", 200), done
    rejects = request(f"{index.host}/bulk/imports/{started.id}/rejects")["data"]
    codes = {one["code"] for one in rejects}
    assert codes == {"E_VALUES_NULL", "E_TEXT", "E_TEXT_SIZE", "E_METADATA_SIZE", "E_JSON"}
    whole = request(url(index, "fetch"), {"ids": ["doc-150"]})["documents"]["doc-150"]
    assert whole == document(150)
    answer = search(index, text("fox", "body"), top_k=200)
    assert len(answer.matches) == 120
    assert found(search(index, syntax("title:(150)"))) == ["doc-150"]


@needs_newest
def test_a_backup_of_documents_is_searched_like_its_index(new_documents, pc):
    index = new_documents()
    index.documents.upsert(namespace="ns", documents=[document(number) for number in range(20)])
    name = next(one.name for one in pc.indexes.list() if one.host == index.host)
    backup = pc.backups.create(index_name=name, name="of-documents")
    pc.create_index_from_backup(name="restored-documents", backup_id=backup.backup_id)
    try:
        copy = pc.index("restored-documents")
        original = pc.indexes.describe(name).schema
        assert pc.indexes.describe("restored-documents").schema == original
        for query in ["fox", "lazy dogs"]:
            expected = scores(search(index, text(query, "body"), top_k=50))
            assert scores(search(copy, text(query, "body"), top_k=50)) == expected
    finally:
        pc.delete_index("restored-documents")
        pc.backups.delete(backup_id=backup.backup_id)


def test_documents_survive_a_kill(own_server, tmp_path):
    server = own_server()
    schema = {"fields": {"body": {"type": "string", "full_text_search": {}}}}
    made = request(f"{server.url}/indexes", {"name": "texts", "schema": schema})
    documents = [{"_id": f"d{n}", "body": BODIES[n % 5]} for n in range(50)]
    base = f"{made['host']}/namespaces/ns/documents"
    request(f"{base}/upsert", {"documents": documents})
    body = {"score_by": [text("quick fox", "body")], "top_k": 50}
    before = request(f"{base}/search", body)["matches"]
    assert len(before) == 20
    server.kill()
    server.start()
    assert request(f"{base}/search", body)["matches"] == before

"""Integrated embedding, records with text, rerank and models through the official client, with a
real model behind a real endpoint; and an endpoint that fails in every way there is."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import harness
from conftest import NAMES, client
from harness import failure, request, run
from models import KEY, ModelServer, WrongServer

DIMENSION = 384
TEXTS = {
    "cat": "A cat sleeps on the sofa all afternoon",
    "dog": "The dog runs after a ball in the garden",
    "stock": "Shares fell as the central bank raised interest rates",
    "bread": "Knead the dough and bake the bread for half an hour",
    "moon": "Astronauts walked on the surface of the moon",
}
MODEL, RERANKER = "multilingual-e5-large", "bge-reranker-v2-m3"


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    server = ModelServer(tmp_path_factory.mktemp("models"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def modelled(tmp_path_factory, models):
    """A server whose operator has set up models."""
    data = tmp_path_factory.mktemp("modelled") / "data"
    with harness.Server(data, *models.flags(), environment=models.environment()) as server:
        yield server
        assert KEY not in server.log.read_text(errors="replace")
        assert "panicked" not in server.log.read_text(errors="replace"), server.log_tail(60)


@pytest.fixture
def pc(modelled):
    return client(modelled)


@pytest.fixture
def integrated(pc):
    """Makes an index with integrated embedding, and deletes it."""
    name = f"text-{next(NAMES)}"
    made = pc.create_index_for_model(
        name=name,
        cloud="aws",
        region="us-east-1",
        embed={"model": MODEL, "field_map": {"text": "chunk_text"}},
    )
    yield pc, name, made
    pc.delete_index(name)


def fill(index, namespace="animals"):
    records = [
        {"_id": name, "chunk_text": text, "length": len(text), "kind": name}
        for name, text in TEXTS.items()
    ]
    index.upsert_records(namespace=namespace, records=records)


def hits(answer):
    return [
        (hit["_id"] if isinstance(hit, dict) else hit.id, hit["fields"] if isinstance(hit, dict)
         else hit.fields)
        for hit in answer.result.hits
    ]  # fmt: skip


def names(answer):
    return [name for name, _ in hits(answer)]


def test_records_are_found_by_what_they_mean(integrated):
    pc, name, _ = integrated
    index = pc.index(name)
    fill(index)
    for text, expected in [
        ("pets that are tired", "cat"),
        ("finance news", "stock"),
        ("a recipe", "bread"),
        ("space travel", "moon"),
    ]:
        answer = index.search(namespace="animals", query={"top_k": 2, "inputs": {"text": text}})
        assert names(answer)[0] == expected, (text, hits(answer))
        assert answer.usage.embed_total_tokens > 0
    first = hits(answer)[0][1]
    assert first == {"chunk_text": TEXTS["moon"], "length": len(TEXTS["moon"]), "kind": "moon"}
    named = index.search(
        namespace="animals",
        query={"top_k": 5, "inputs": {"text": "pets"}, "filter": {"length": {"$lt": 40}}},
        fields=["kind"],
    )
    short = {name for name, text in TEXTS.items() if len(text) < 40}
    assert {name: fields for name, fields in hits(named)} == {name: {"kind": name} for name in short}
    by_id = index.search(namespace="animals", query={"top_k": 1, "id": "dog"})
    assert names(by_id) == ["dog"]


def test_hits_are_reranked(integrated):
    pc, name, _ = integrated
    index = pc.index(name)
    fill(index)
    answer = index.search(
        namespace="animals",
        query={"top_k": 5, "inputs": {"text": "pets"}},
        rerank={
            "model": RERANKER,
            "rank_fields": ["chunk_text"],
            "top_n": 2,
            "query": "interest rates of banks",
        },
        fields=["kind"],
    )
    found = hits(answer)
    assert [name for name, _ in found][0] == "stock" and len(found) == 2
    assert found[0][1] == {"kind": "stock"}
    assert answer.usage.rerank_units == 1


def test_the_index_says_how_it_embeds(integrated, modelled):
    pc, name, made = integrated
    seen = pc.describe_index(name)
    assert seen.embed.model == MODEL and seen.embed.field_map == {"text": "chunk_text"}
    raw = request(f"{modelled.url}/indexes/{name}")
    assert (raw["dimension"], raw["metric"], raw["vector_type"]) == (DIMENSION, "cosine", "dense")
    assert raw["embed"]["dimension"] == DIMENSION
    assert raw["schema"]["fields"]["chunk_text"]["type"] == "semantic_text"
    change = {"embed": {"field_map": {"text": "body"}, "read_parameters": {"input_type": "query"}}}
    changed = request(f"{modelled.url}/indexes/{name}", change, method="PATCH")
    assert changed["embed"]["field_map"] == {"text": "body"}
    assert changed["embed"]["read_parameters"] == {"input_type": "query"}
    index = pc.index(name)
    index.upsert_records(namespace="n", records=[{"_id": "a", "body": TEXTS["cat"]}])
    status, body = failure(
        f"{modelled.url}/indexes/{name}", {"embed": {"model": "minilm"}}, method="PATCH"
    )
    assert status == 400 and "cannot be changed" in body["message"]


@pytest.mark.once
def test_stored_vectors_are_the_models_own_and_stay_after_a_restart(models, own_server):
    server = own_server(*models.flags(), environment=models.environment())
    body = {
        "name": "kept",
        "cloud": "aws",
        "region": "us-east-1",
        "embed": {"model": "minilm", "field_map": {"text": "t"}, "metric": "dotproduct"},
    }
    request(f"{server.url}/indexes/create-for-model", body)
    lines = "".join(json.dumps({"_id": key, "t": text}) + "\n" for key, text in TEXTS.items())
    url = server.index_url("kept")
    request(f"{url}/records/namespaces/n/upsert", raw=lines.encode())
    server.restart()
    url = server.index_url("kept")
    fetched = request(f"{url}/vectors/fetch?namespace=n&ids=cat&ids=dog")["vectors"]
    auth = {"Authorization": f"Bearer {KEY}"}
    asked = {"model": "minilm", "input": [TEXTS["cat"], TEXTS["dog"]]}
    own = request(f"{models.url}/v1/embeddings", asked, headers=auth)["data"]
    for key, embedding in zip(("cat", "dog"), own):
        assert np.allclose(fetched[key]["values"], embedding["embedding"], atol=1e-5)
    query = {"query": {"top_k": 1, "inputs": {"text": "kittens"}}}
    found = request(f"{url}/records/namespaces/n/search", query)
    assert found["result"]["hits"][0]["_id"] == "cat"


def test_embed_rerank_and_models(pc):
    made = pc.inference.embed(
        model=MODEL, inputs=[TEXTS["cat"], TEXTS["moon"]], parameters={"input_type": "passage"}
    )
    assert made.model == MODEL and len(made.data) == 2
    assert len(made.data[0].values) == DIMENSION
    assert made.usage.total_tokens > 0
    ranked = pc.inference.rerank(
        model=RERANKER,
        query="baking",
        documents=[{"id": key, "text": text} for key, text in TEXTS.items()],
        top_n=2,
        return_documents=True,
    )
    assert len(ranked.data) == 2 and ranked.data[0].document["id"] == "bread"
    assert ranked.data[0].index == list(TEXTS).index("bread")
    assert ranked.data[0].score >= ranked.data[1].score
    listed = {model.model: model for model in pc.inference.list_models()}
    assert set(listed) == {MODEL, "minilm", RERANKER}
    only = [model.model for model in pc.inference.list_models(type="rerank")]
    assert only == [RERANKER]
    info = pc.inference.get_model(model="minilm")
    assert (info.type, info.default_dimension, info.vector_type) == ("embed", DIMENSION, "dense")
    (parameter,) = info.supported_parameters
    assert (parameter.parameter, parameter.type, parameter.required) == (
        "dimension",
        "numeric_range",
        False,
    )
    assert (parameter.value_type, parameter.min, parameter.max) == ("integer", 1, 20_000)
    assert listed[RERANKER].supported_parameters == []


@pytest.mark.once
def test_what_is_wrong_with_a_request_is_said(modelled):
    def refused(path, body, status, text, base=modelled.url, **options):
        got, answer = failure(base + path, body, **options)
        assert (got, text in answer["message"]) == (status, True), (path, got, answer)

    refused("/embed", {"model": "nobody", "inputs": [{"text": "a"}]}, 404, "Model nobody not found")
    refused("/embed", {"model": MODEL, "inputs": []}, 400, "0 inputs")
    refused("/embed", {"model": MODEL, "inputs": [{"text": "a"}] * 97}, 400, "97 inputs")
    refused("/embed", {"model": MODEL, "inputs": [{"text": ""}]}, 400, "inputs[0]")
    one = {"model": MODEL, "inputs": [{"text": "a"}], "parameters": {"dimension": 3}}
    refused("/embed", one, 400, "refused the input (400)")
    refused("/rerank", {"model": RERANKER, "query": "a", "documents": []}, 400, "0 documents")
    many = {"model": RERANKER, "query": "a", "documents": ["x"] * 101}
    refused("/rerank", many, 400, "101 documents")
    refused("/models/nobody", None, 404, "Model nobody not found")
    embed = {"model": "nobody", "field_map": {"text": "t"}}
    made = {"name": "wrong", "cloud": "aws", "region": "r", "embed": embed}
    refused("/indexes/create-for-model", made, 404, "Model nobody not found")
    refused("/indexes/wrong", None, 404, "wrong", method="GET")

    spec = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
    request(f"{modelled.url}/indexes", {"name": "plain", "dimension": DIMENSION, "spec": spec})
    plain = modelled.index_url("plain")
    records = "/records/namespaces/n/"
    line = b'{"_id":"a","t":"x"}'
    refused(records + "upsert", None, 400, "create-for-model", plain, raw=line)
    by_text = {"query": {"top_k": 1, "inputs": {"text": "a"}}}
    refused(records + "search", by_text, 400, "create-for-model", plain)
    # A plain index of the right dimension can be told to embed.
    change = {"embed": {"model": "minilm", "field_map": {"text": "t"}}}
    request(f"{modelled.url}/indexes/plain", change, method="PATCH")
    request(plain + records + "upsert", raw=line)
    for body, text in [
        ({"top_k": 1, "inputs": {"text": ""}}, "inputs.text is empty"),
        ({"top_k": 1, "inputs": {"text": "a"}, "id": "a"}, "expected one of them"),
        ({"top_k": 1, "inputs": {"text": "a"}, "match_terms": {"terms": ["a"]}}, "match_terms"),
    ]:
        refused(records + "search", {"query": body}, 400, text, plain)
    rank = {"model": RERANKER, "rank_fields": ["t"]}
    body = {"query": {"top_k": 101, "inputs": {"text": "a"}}, "rerank": rank}
    refused(records + "search", body, 400, "at most 100 with rerank", plain)
    body = {"query": {"top_k": 1, "id": "a"}, "rerank": rank}
    refused(records + "search", body, 400, "rerank.query is missing", plain)
    body = {"query": {"top_k": 1, "inputs": {"text": "a"}}, "rerank": rank | {"rank_fields": ["u"]}}
    refused(records + "search", body, 400, "rank_fields is missing", plain)
    lines = line + b'\n{"_id":"b"}'
    refused(records + "upsert", None, 400, 'line 2: field "t"', plain, raw=lines)
    stats = request(f"{plain}/describe_index_stats", {})
    assert stats["totalVectorCount"] == 1
    request(f"{modelled.url}/indexes/plain", method="DELETE")


@pytest.mark.once
def test_of_two_changes_at_once_none_is_lost(modelled, integrated):
    _, name, _ = integrated
    url = f"{modelled.url}/indexes/{name}"
    for round_ in range(20):
        changes = [
            {"field_map": {"text": f"field{round_}"}},
            {"read_parameters": {"round": round_}},
            {"write_parameters": {"round": round_}},
        ]
        with ThreadPoolExecutor(len(changes)) as pool:
            made = [pool.submit(request, url, {"embed": one}, method="PATCH") for one in changes]
            [one.result() for one in made]
        found = request(url)["embed"]
        for change in changes:
            for key, value in change.items():
                assert found[key] == value, (round_, found)


@pytest.mark.once
def test_without_models_the_setting_is_named(server):
    for path, body in [
        ("/embed", {"model": MODEL, "inputs": [{"text": "a"}]}),
        ("/rerank", {"model": RERANKER, "query": "a", "documents": ["x"]}),
        ("/models", None),
        ("/models/x", None),
        ("/indexes/create-for-model", {"name": "a"}),
    ]:
        status, answer = failure(server.url + path, body)
        assert status == 404 and "--embedding-url" in answer["message"], (path, answer)


@pytest.mark.once
def test_settings_are_checked_and_keys_are_not_shown(tmp_path):
    serve = ["serve", "--data", str(tmp_path / "data"), "--listen=127.0.0.1:1"]
    url = "--embedding-url=http://127.0.0.1:9/"
    for flags, expected in [
        ([url], "--embedding-model"),
        (["--embedding-model=a"], "--embedding-url"),
        ([url, "--embedding-model=a", "--embedding-key-file=/nowhere"], "/nowhere"),
        (["--embedding-url=ftp://a/", "--embedding-model=a"], "http://HOST"),
        (["--embedding-url=http://169.254.169.254/", "--embedding-model=a"], "169.254.169.254"),
        (["--rerank-url=http://127.0.0.1:9/"], "--rerank-model"),
    ]:
        ended = run(*serve, *flags)
        assert ended.returncode == 2 and expected in ended.stderr, (flags, ended.stderr)
    printed = run(*serve, "--print-settings", url, CROSSBILL_EMBEDDING_KEY="hush")
    assert "hush" not in printed.stdout + printed.stderr and "(set)" in printed.stdout


@pytest.fixture
def wrong():
    made = WrongServer()
    yield made
    made.close()


@pytest.mark.once
def test_an_endpoint_that_fails_is_a_bounded_error_and_writes_nothing(own_server, wrong):
    flags = [f"--embedding-url={wrong.url}", "--embedding-model=m", "--embedding-batch=2"]
    server = own_server(*flags, "--model-timeout=500ms")
    wrong.vectors(8)
    embed = {"model": "m", "field_map": {"text": "t"}}
    body = {"name": "a", "cloud": "aws", "region": "r", "embed": embed}
    request(f"{server.url}/indexes/create-for-model", body)
    url = server.index_url("a")
    lines = b"".join(b'{"_id":"%d","t":"x"}\n' % number for number in range(5))

    def refused(status, text):
        got, answer = failure(f"{url}/records/namespaces/n/upsert", raw=lines)
        assert (got, text in answer["message"]) == (status, True), (got, answer)
        search = {"query": {"top_k": 1, "inputs": {"text": "a"}}}
        assert failure(f"{url}/records/namespaces/n/search", search)[0] == status
        assert request(f"{url}/describe_index_stats", {})["totalVectorCount"] == 0

    def bad(status, body):
        wrong.status, wrong.body = status, body

    bad(500, b"oh")
    refused(503, "failed (500)")
    bad(429, b'{"error":{"message":"slow down"}}')
    refused(503, "slow down")
    bad(401, b'{"error":{"message":"no key"}}')
    refused(502, "answered 401: no key")
    bad(422, b'{"error":"input too long"}')
    refused(400, "input too long")
    bad(302, b"")
    refused(502, "answered 302")
    for nonsense in [b"", b"<html>", b"{}", b'{"data":[]}', b'{"data":[{"embedding":["x"]}]}']:
        bad(200, nonsense)
        refused(502, "the embedding endpoint at 127.0.0.1 answered")
    wrong.vectors(9)
    refused(502, "gives 9 components now, expected the 8 of the index")
    wrong.vectors(8)
    # The last of three batches fails: none of the first is written.
    good, calls = wrong.body, wrong.calls
    wrong.body = lambda request: good(request) if wrong.calls < calls + 3 else b"{}"
    got, _ = failure(f"{url}/records/namespaces/n/upsert", raw=lines)
    assert (got, wrong.calls) == (502, calls + 3)
    assert request(f"{url}/describe_index_stats", {})["totalVectorCount"] == 0
    wrong.vectors(8)
    wrong.pause = 2.0
    refused(503, "gave no answer within 0.5 s")
    wrong.close()
    refused(503, "does not answer")
    server.restart()
    refused(503, "does not answer")


@pytest.mark.once
def test_rerank_as_text_embeddings_inference_has_it(models, own_server):
    flags = [f"--rerank-url={models.url}/rerank", "--rerank-model=r", "--rerank-shape=texts"]
    server = own_server(*flags, environment={"CROSSBILL_RERANK_KEY": KEY})
    body = {"model": "r", "query": "baking", "documents": list(TEXTS.values()), "top_n": 1}
    ranked = request(f"{server.url}/rerank", body)
    assert ranked["data"][0]["document"]["text"] == TEXTS["bread"] and len(ranked["data"]) == 1
    status, answer = failure(f"{server.url}/embed", {"model": "r", "inputs": [{"text": "a"}]})
    assert status == 404 and "--embedding-url" in answer["message"]


@pytest.mark.once
def test_the_documents_program_runs(modelled, capsys):
    text = (harness.REPOSITORY / "docs" / "inference.md").read_text()
    (program,) = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    assert "http://127.0.0.1:5080" in program
    exec(program.replace("http://127.0.0.1:5080", modelled.url), {})
    assert capsys.readouterr().out.split() == ["bank", "1"]
    request(f"{modelled.url}/indexes/articles", method="DELETE")

"""Pulls: an index of another server, here one of ours, comes over whole through its public API;
whatever the source, the network or `kill -9` does meanwhile, nothing is lost and nothing is double.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from faultproxy import Fault, FaultProxy
from harness import BINARY, Server, clean_environment, request, run

pytestmark = pytest.mark.once

DIMENSION = 8
KEY, OTHER_KEY = "key-of-the-source", "key-of-the-target"
NAMESPACES = ["__default__", "en", "two words", "a/b c?d&e=f%41+#", "_hidden", "..", "100%"]
ODD_IDS = [
    *("a b", " lead", "50%", "x&y=z", "../x", "#?", "+plus", "%41", 'q"q', "q'q", "{j}", "a\\b"),
    *("a,b", "tab\tid", "l" * 512, "&" * 500, "ids=1"),
]
ODD_METADATA = [
    None,
    {},
    {"text": 'naïve "quoted" \\ \n ☃ 😀', "n": 0.1, "big": 1e300, "whole": 12, "yes": True},
    {"list": ["a", "", "ü"], "": "x"} | {"no": False},
]
SPEC = {"serverless": {"cloud": "aws", "region": "us-east-1"}}


def dense(rng, count, dimension, ids=(), **more):
    values = rng.normal(size=(count, dimension)).astype(np.float32)
    for row, vector in enumerate(values.tolist()):
        name = ids[row] if row < len(ids) else f"r{row:06d}"
        metadata = ODD_METADATA[row % len(ODD_METADATA)]
        metadata = metadata and {key: value for key, value in metadata.items() if key}
        yield {"id": name, "values": vector} | ({"metadata": metadata} if row % 4 else {})


def sparse_part(rng):
    indices = sorted(rng.choice(2**32 - 1, size=5, replace=False).tolist())
    return {"indices": indices, "values": np.abs(rng.normal(size=5)).astype("<f4").tolist()}


def create(server, name, **shape):
    request(f"{server.url}/indexes", {"name": name, "spec": SPEC} | shape, headers={"Api-Key": KEY})
    return request(f"{server.url}/indexes/{name}", headers={"Api-Key": KEY})["host"]


def upsert(host, namespace, vectors):
    vectors = list(vectors)
    for start in range(0, len(vectors), 500):
        body = {"vectors": vectors[start : start + 500], "namespace": namespace}
        request(f"{host}/vectors/upsert", body, headers={"Api-Key": KEY})


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    """A server with an index of each kind; one key opens it."""
    data = tmp_path_factory.mktemp("origin") / "data"
    with Server(data, environment={"CROSSBILL_API_KEY": KEY}) as server:
        rng = np.random.default_rng(5)
        host = create(server, "dense", dimension=DIMENSION, metric="cosine")
        for name in NAMESPACES:
            upsert(host, name, dense(rng, 230, DIMENSION, ids=ODD_IDS))
        host = create(server, "hybrid", dimension=4, metric="dotproduct")
        mixed = [
            record | ({"sparseValues": sparse_part(rng)} if row % 3 else {})
            for row, record in enumerate(dense(rng, 150, 4))
        ]
        upsert(host, "mixed", mixed)
        host = create(server, "sparse", metric="dotproduct", vector_type="sparse")
        only = [
            {"id": f"s{row}", "sparseValues": sparse_part(rng), "metadata": {"row": row}}
            for row in range(120)
        ]
        upsert(host, "__default__", only)
        upsert(host, "a/b", only[:7])
        create(server, "empty", dimension=3, metric="euclidean")
        host = create(server, "long", dimension=DIMENSION, metric="euclidean")
        for name in ("a", "b", "c/d"):
            upsert(host, name, dense(rng, 2_000, DIMENSION))
        yield server
        assert server.alive(), server.log_tail()
        assert "panicked" not in server.log.read_text(errors="replace"), server.log_tail(60)


def host_of(server, index):
    return request(f"{server.url}/indexes/{index}", headers={"Api-Key": KEY})["host"]


def everything(host, key=KEY):
    """Each record by namespace and id, as fetch gives it."""
    headers = {"Api-Key": key}
    stats = request(f"{host}/describe_index_stats", {}, headers=headers)
    found = {}
    for namespace in stats["namespaces"]:
        records, token = {}, ""
        while token is not None:
            query = {"namespace": namespace} | ({"paginationToken": token} if token else {})
            page = request(f"{host}/vectors/list?{urllib.parse.urlencode(query)}", headers=headers)
            ids = [one["id"] for one in page["vectors"]]
            query = [("ids", one) for one in ids] + [("namespace", namespace)]
            if ids:
                url = f"{host}/vectors/fetch?{urllib.parse.urlencode(query)}"
                records |= request(url, headers=headers)["vectors"]
            token = page.get("pagination", {}).get("next")
        assert len(records) == stats["namespaces"][namespace]["vectorCount"]
        found[namespace] = records
    return found


def answers(host, namespace, key=KEY, **vector):
    body = {"namespace": namespace, "topK": 20, "includeMetadata": True} | vector
    matches = request(f"{host}/query", body, headers={"Api-Key": key})["matches"]
    return [(one["id"], round(one["score"], 4), one.get("metadata")) for one in matches]


class Here:
    """Where records are pulled to."""

    def __init__(self, way, tmp_path):
        self.way, self.staging = way, tmp_path / "staging"
        self.data = tmp_path / "here" / "data"
        allowed = [] if way == "upsert" else ["--allow-import-dir", str(tmp_path)]
        self.server = Server(self.data, *allowed, environment={"CROSSBILL_API_KEY": OTHER_KEY})
        if way == "embedded":
            self.where = ["--data", str(self.data)]
        else:
            self.server.start()
            self.where = ["--server", self.server.url, "--api-key", OTHER_KEY]
        if way == "upsert":
            self.where += ["--load", "upsert"]

    def arguments(self, *source, into="copy"):
        return [
            *("pull", *source, "--into", into, "--staging", str(self.staging), "--json"),
            *("--rate", "1000", *self.where),
        ]

    def pull(self, *source, into="copy", code=0, **environment):
        ended = run(*self.arguments(*source, into=into), CROSSBILL_PULL_API_KEY=KEY, **environment)
        assert ended.returncode == code, (ended.stdout, ended.stderr)
        assert KEY not in ended.stdout + ended.stderr
        return ended

    def host(self, index="copy"):
        """The index's host; an embedded one is served now."""
        if not self.server.alive():
            self.server.start()
        return request(f"{self.server.url}/indexes/{index}", headers={"Api-Key": OTHER_KEY})["host"]

    def content(self, index="copy"):
        return everything(self.host(index), OTHER_KEY)

    def close(self):
        if self.server.alive():
            assert self.server.stop() == 0


@pytest.fixture(params=["import", "embedded", "upsert"])
def here(request, tmp_path):
    here = Here(request.param, tmp_path)
    yield here
    here.close()


@pytest.fixture
def embedded(tmp_path):
    here = Here("embedded", tmp_path)
    yield here
    here.close()


@pytest.fixture
def proxy(origin):
    """Makes a proxy before an index of the origin."""
    made = []

    def make(index):
        made.append(FaultProxy(host_of(origin, index).removeprefix("http://"), keep_host=False))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_what_comes_over_is_what_was_there(here, origin):
    """Every kind of index, by name; records and answers are equal."""
    told = {}
    for index in ("dense", "hybrid", "sparse", "empty"):
        source = ["--from-index", index, "--control-plane", origin.url]
        told[index] = json.loads(here.pull(*source, into=index).stdout)
        assert not here.staging.exists()
    for index, told in told.items():
        there = everything(host_of(origin, index))
        assert here.content(index) == there
        count = sum(len(records) for records in there.values())
        assert (told["listed"], told["fetched"]) == (count, count), told
        assert (told["vanished"], told["refused"]) == (0, 0), told
        by_upsert = {one["name"] for one in told["namespaces"] if one["load"] == "upsert"}
        odd = {name for name in there if "/" in name or name in ("_hidden", "..")}
        assert by_upsert == (set(there) if here.way == "upsert" else odd)
        if here.way != "upsert" and count:
            imported = sum(len(there[name]) for name in set(there) - by_upsert)
            assert told["import"]["status"] == "Completed"
            assert told["import"]["recordsRead"] == told["import"]["recordsImported"] == imported
    if here.way != "embedded":
        listed = json.loads(run("index", "list", "--json", *here.where[:4]).stdout)["indexes"]
        shapes = {one["name"]: one.get("dimension") for one in listed}
        assert shapes == {"dense": DIMENSION, "hybrid": 4, "sparse": None, "empty": 3}
    queries(here, origin)


def queries(here, origin):
    rng = np.random.default_rng(9)
    for index, namespace, vector in [
        *(("dense", name, {"vector": rng.normal(size=DIMENSION).tolist()}) for name in NAMESPACES),
        ("hybrid", "mixed", {"vector": [0.1, 0.2, 0.3, 0.4], "sparseVector": sparse_part(rng)}),
    ]:
        there = answers(host_of(origin, index), namespace, **vector)
        assert answers(here.host(index), namespace, OTHER_KEY, **vector) == there


def test_some_namespaces_by_host(embedded, origin):
    host = host_of(origin, "dense")
    told = embedded.pull("--from", host, "--namespace", "", "--namespace", "a/b c?d&e=f%41+#")
    assert "loaded by upserts" in told.stderr
    there = everything(host)
    assert embedded.content() == {name: there[name] for name in (NAMESPACES[0], NAMESPACES[3])}
    embedded.server.stop()
    missing = embedded.pull("--from", host, "--namespace", "fr", into="other", code=1)
    assert '\\"fr\\"' in missing.stdout and "two words" in missing.stdout, missing.stdout


@pytest.mark.parametrize("way", ["embedded", "import", "upsert"])
@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_request_and_gone_on(way, seed, origin, proxy, tmp_path):
    """SIGKILL as the n-th request of a run arrives, several times over; the last run is left
    alone. Of whole files nothing is read twice, and the import reads each record once."""
    rng, here, before = random.Random(f"{way} {seed}"), Here(way, tmp_path), proxy("long")
    kills = 0
    for _ in range(rng.randrange(2, 5)):
        last, process = rng.randrange(1, 50), None

        def schedule(method, path):
            nonlocal last
            last -= 1
            if last <= 0:
                process.kill()
            return None

        before.start(schedule)
        arguments = here.arguments("--from", before.url, "--part-rows", "300")
        process = subprocess.Popen(
            [str(BINARY), *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=clean_environment() | {"CROSSBILL_PULL_API_KEY": KEY},
        )
        assert process.wait(120) in (-signal.SIGKILL, 0)
        if process.returncode == 0:
            break
        kills += 1
    assert kills >= 2, f"only {kills} kills came before the end"
    before.start(lambda method, path: None)
    told = json.loads(here.pull("--from", before.url, "--part-rows", "300").stdout)
    assert (told["listed"], told["fetched"]) == (6_000, 6_000), told
    if way != "upsert":
        assert told["import"]["recordsRead"] == told["import"]["recordsImported"] == 4_000, told
    assert here.content() == everything(host_of(origin, "long"))
    assert not here.staging.exists()
    here.close()


@pytest.mark.parametrize("way", ["embedded", "upsert"])
@pytest.mark.parametrize("seed", range(2))
def test_killed_at_any_time_and_gone_on(way, seed, origin, tmp_path):
    """As before, but the moment is drawn from the clock: also within a write."""
    rng, here = random.Random(seed), Here(way, tmp_path)
    arguments = here.arguments("--from", host_of(origin, "long"), "--part-rows", "100")
    environment = clean_environment() | {"CROSSBILL_PULL_API_KEY": KEY}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment}
    for _ in range(5):
        process = subprocess.Popen([str(BINARY), *arguments], **quiet)
        try:
            if process.wait(rng.uniform(0.05, 0.5)) == 0:
                break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(60)
    here.pull("--from", host_of(origin, "long"), "--part-rows", "100")
    assert here.content() == everything(host_of(origin, "long"))
    assert not here.staging.exists()
    here.close()


@pytest.mark.parametrize("way", ["embedded", "import"])
def test_interrupted_and_gone_on(way, origin, proxy, tmp_path):
    here, before, left, process = Here(way, tmp_path), proxy("long"), 25, None

    def schedule(method, path):
        nonlocal left
        left -= 1
        if left == 0:
            process.send_signal(signal.SIGINT)
        return Fault("status", 429, headers={"Retry-After": "60"}) if left <= 0 else None

    before.start(schedule)
    process = subprocess.Popen(
        [str(BINARY), *here.arguments("--from", before.url, "--part-rows", "200")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment() | {"CROSSBILL_PULL_API_KEY": KEY},
    )
    _, said = process.communicate(timeout=50)
    assert process.returncode == 130 and "the same command goes on" in said, said
    before.start(lambda method, path: None)
    assert "records are read" in here.pull("--from", before.url, "--part-rows", "200").stderr
    assert here.content() == everything(host_of(origin, "long"))
    here.close()


@pytest.mark.parametrize(
    "point",
    ["import.record_written:1", "import.planned:1", "import.commit_after:1", "import.finish_after:1"],
)
def test_killed_while_it_loads(point, embedded, origin):
    source = ["--from", host_of(origin, "long"), "--part-rows", "500"]
    embedded.pull(*source, code=-signal.SIGKILL, CROSSBILL_KILL_AT=point)
    again = embedded.pull(*source)
    assert "6,000 records are read" in again.stderr
    told = json.loads(again.stdout)
    assert told["import"]["status"] == "Completed"
    assert told["import"]["recordsImported"] == 4_000
    assert embedded.content() == everything(host_of(origin, "long"))


def test_a_source_that_fails_now_and_then(embedded, origin, proxy):
    """A third of the requests is refused for now, cut, or reset."""
    rng, before = random.Random(11), proxy("dense")
    faults = [
        Fault("status", 429, headers={"Retry-After": "1"}),
        *(Fault("status", status) for status in (429, 500, 502, 503, 504)),
        *(Fault("reset"), Fault("truncate"), Fault("truncate", part=0), Fault("longer")),
    ]
    before.start(lambda method, path: rng.choice(faults) if rng.random() < 0.33 else None)
    told = json.loads(embedded.pull("--from", before.url).stdout)
    assert told["listed"] == told["fetched"] == 230 * len(NAMESPACES)
    kinds = {kind for _, _, kind in before.seen}
    assert {"status", "reset", "truncate"} <= kinds, kinds
    assert embedded.content() == everything(host_of(origin, "dense"))


def test_a_source_that_stays_away(embedded, origin, proxy):
    """Given up within the budget; the same command goes on when it is back."""
    before, left = proxy("long"), 12

    def schedule(method, path):
        nonlocal left
        left -= 1
        return None if left > 0 else Fault("status", 503)

    before.start(schedule)
    source = ["--from", before.url, "--part-rows", "200", "--retry-budget", "2s"]
    failed = embedded.pull(*source, code=1)
    assert "answered 503" in failed.stdout and "goes on from" in failed.stdout, failed.stdout
    before.start(lambda method, path: Fault("status", 429, headers={"Retry-After": "3600"}))
    failed = embedded.pull(*source, code=1)
    assert "left alone for 1h 00m" in failed.stdout, failed.stdout
    before.start(lambda method, path: None)
    assert "records are read" in embedded.pull(*source).stderr
    assert embedded.content() == everything(host_of(origin, "long"))


def test_a_token_that_is_not_taken_any_more(embedded, origin, proxy):
    before, pages = proxy("long"), 0

    def schedule(method, path):
        nonlocal pages
        pages += "paginationToken" in path
        return Fault("status", 400) if pages == 9 and "paginationToken" in path else None

    before.start(schedule)
    ended = embedded.pull("--from", before.url, "--part-rows", "200")
    assert 'reading namespace "a" from its beginning' in ended.stderr, ended.stderr
    told = json.loads(ended.stdout)
    assert told["listed"] == 6_000 and told["import"]["recordsRead"] == 4_000, told
    assert embedded.content() == everything(host_of(origin, "long"))
    embedded.server.stop()
    before.start(lambda method, path: Fault("status", 400) if "paginationT" in path else None)
    embedded.pull("--from", before.url, into="never", code=1)


def test_records_that_go_between_list_and_fetch(embedded, origin, proxy, tmp_path):
    host = create(origin, "moving", dimension=2, metric="euclidean")
    upsert(host, "n", ({"id": f"{row:03d}", "values": [row, 1.0]} for row in range(250)))
    before = proxy("moving")

    def schedule(method, path):
        if "/vectors/fetch" in path and "ids=120" in path:
            body = {"ids": ["120", "199", "240"], "namespace": "n"}
            request(f"{host}/vectors/delete", body, headers={"Api-Key": KEY})
        return None

    before.start(schedule)
    told = json.loads(embedded.pull("--from", before.url, "--concurrency", "1").stdout)
    assert told["vanished"] >= 2 and told["listed"] == told["fetched"] + told["vanished"], told
    assert any('record "199"' in note for note in told["notes"]), told
    assert embedded.content() == everything(host)


def test_a_staged_file_that_was_damaged_is_read_again(embedded, origin, proxy):
    before, left = proxy("long"), 30

    def schedule(method, path):
        nonlocal left
        left -= 1
        return None if left > 0 else Fault("status", 403)

    before.start(schedule)
    source = ["--from", before.url, "--part-rows", "200"]
    assert "CROSSBILL_PULL_API_KEY" in embedded.pull(*source, code=1).stdout
    parts = sorted(embedded.staging.glob("records-*/*/*.parquet"))
    assert len(parts) > 2
    content = bytearray(parts[1].read_bytes())
    content[len(content) // 2] ^= 1
    parts[1].write_bytes(content)
    (parts[0].parent / "stray.parquet").write_bytes(b"half")
    before.start(lambda method, path: None)
    ended = embedded.pull(*source)
    assert "checksum" in ended.stderr and "from its beginning" in ended.stderr, ended.stderr
    assert json.loads(ended.stdout)["listed"] == 6_000
    assert embedded.content() == everything(host_of(origin, "long"))


def test_a_target_that_restarts(origin, proxy, tmp_path):
    """Upserts wait for it; what was acknowledged is there."""
    here, before, left = Here("upsert", tmp_path), proxy("long"), 40

    def schedule(method, path):
        nonlocal left
        left -= 1
        if left == 0:
            here.server.kill()
            here.server.launch()
        return None

    before.start(schedule)
    here.pull("--from", before.url)
    assert left < 0 and here.content() == everything(host_of(origin, "long"))
    here.close()


class Strange(BaseHTTPRequestHandler):
    """A source that holds what an index here cannot, or does not keep to the API."""

    protocol_version = "HTTP/1.1"
    values, mood = [0.5, -0.25], ""
    records = {
        "good": {"id": "good", "values": values, "metadata": None, "sparseValues": None},
        "naïve ☃": {"id": "naïve ☃", "values": values},
        "long" * 200: {"id": "long" * 200, "values": values},
        "zero": {"id": "zero", "values": [0, 0]},
        "three": {"id": "three", "values": [1, 2, 3]},
        "huge": {"id": "huge", "values": [1e39, 1]},
        "text": {"id": "text", "values": ["a", "b"]},
        "nested": {"id": "nested", "values": values, "metadata": {"a": {"b": 1}}},
        "sparse": {"id": "sparse", "values": values, "sparseValues": {"indices": [], "values": []}},
        "list": [],
        "fine": {"id": "fine", "values": [1, 1e-45], "metadata": {"x": 1.5}, "more": {"a": 1}},
    }

    def log_message(self, *_):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        stats = {"namespaces": {"": {"vectorCount": 11}}, "dimension": 2, "metric": "cosine"}
        self.answer(stats)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        asked = urllib.parse.parse_qs(url.query)
        if self.mood == "no json":
            return self.answer(b"<html>")
        if self.mood == "same page":
            return self.answer({"vectors": [], "pagination": {"next": "again"}})
        if self.mood == "too much":
            return self.answer(b"[" + b" " * (65 << 20) + b"]")
        if url.path.endswith("/list"):
            ids = [{"id": one} for one in self.records]
            return self.answer({"vectors": ids, "pagination": {"next": ""}})
        found = {one: self.records[one] for one in asked["ids"]}
        self.answer({"vectors": found | {"unasked": self.records["good"]}})

    def answer(self, document):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def strange():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Strange)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    Strange.mood = ""
    server.shutdown()
    server.server_close()


def test_what_cannot_be_held_is_told(here, strange):
    ended = here.pull("--from", strange, code=3)
    told = json.loads(ended.stdout)
    assert (told["listed"], told["fetched"], told["refused"]) == (11, 11, 9), told
    for words in ("naïve", "800 characters", '"zero"', "dimension 3", '"huge"', '"nested"'):
        assert any(words in note for note in told["notes"]), (words, told["notes"])
    content = here.content()["__default__"]
    assert content == {
        "good": {"id": "good", "values": Strange.values},
        "fine": {"id": "fine", "values": [1.0, 1e-45], "metadata": {"x": 1.5}},
    }


@pytest.mark.parametrize(
    ("mood", "words"),
    [("no json", "cannot be read"), ("same page", "as that page again"), ("too much", "more than")],
)
def test_a_source_that_does_not_keep_to_the_api(mood, words, embedded, strange):
    Strange.mood = mood
    assert words in embedded.pull("--from", strange, code=1).stdout


def test_refusals_say_what_helps(origin, tmp_path):
    here, host = Here("import", tmp_path / "a"), host_of(origin, "dense")
    wrong = run(*here.arguments("--from", host), PINECONE_API_KEY="wrong-key")
    assert wrong.returncode == 1 and "401" in wrong.stdout and "wrong-key" not in wrong.stdout
    assert "PINECONE_API_KEY" in wrong.stdout
    by_name = ["--from-index", "nowhere", "--control-plane", origin.url]
    assert "404" in here.pull(*by_name, code=1).stdout
    for into, shape in [("short", ["--dimension", "3"]), ("thin", ["--sparse"])]:
        assert run("index", "create", into, *shape, *here.where).returncode == 0
        told = here.pull("--from", host, into=into, code=1).stdout
        assert "expected dense vectors of dimension 8 under metric cosine" in told, told
    metric = ["--dimension", "8", "--metric", "euclidean"]
    assert run("index", "create", "other", *metric, *here.where).returncode == 0
    assert "euclidean, expected" in here.pull("--from", host, into="other", code=1).stdout
    here.staging = tmp_path / "elsewhere"
    told = here.pull("--from", host, code=1).stdout
    assert "--allow-import-dir" in told and "--load upsert" in told, told
    here.staging = tmp_path / "a" / "two"
    here.pull("--from", host, "--keep-staging", into="copy")
    assert "finished" in here.pull("--from", host, "--keep-staging", into="copy").stderr
    assert "expected one of" in here.pull("--from", host, into="other2", code=1).stdout
    here.close()

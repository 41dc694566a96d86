"""Every command in the documents is run: each page as one shell session, top to bottom, against the
real binary. docs/tested.md says how, and why some blocks are not."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy
import pandas
import pytest

from harness import BINARY, REPOSITORY, clean_environment, free_ports, run
from models import KEY as MODEL_KEY
from models import ModelServer
from objectstore import KEY_ID, REGION, SECRET
from pages import ELSEWHERE, PAGES, PARSED, RUN, SCENES, SHOWN, TESTED, Block, Page, blocks, not_run
from stores import ACCOUNT, ACCOUNT_KEY, Azurite, FakeGcs, service_account_key

pytestmark = pytest.mark.once
DIMENSION = 384
SECONDS_MAX = 240
SHIM = Path(__file__).with_name("docs_shim.sh")
# Sends a request of a page. An import that is over is told to be by 400 or 412.
ASK = """
ask() {
    local method=$1 target=$2 status
    shift 2
    status=$(curl --silent --show-error --output "$DOCS/answer" --write-out '%{http_code}' \\
        --request "$method" --header 'Content-Type: application/json' "$URL$target" "$@")
    cat "$DOCS/answer"
    case $status in 2*) ;; *) grep -q 'has ended' "$DOCS/answer" ;; esac
}
"""
REQUEST = re.compile(r"^(GET|POST|PATCH|PUT|DELETE) (\S+)\s*(.*)$")


def test_no_block_escapes():
    reasons = dict(re.findall(r"^\| `([a-z]+)` \| (.*) \|$", TESTED.read_text(), re.M))
    used = set()
    for path in PAGES:
        if other := ELSEWHERE.get(path.name):
            assert path.name in (REPOSITORY / other).read_text(), f"{other} runs {path.name}"
        for block in blocks(path):
            where = f"{path.name}:{block.line}"
            assert block.language in (*RUN, *PARSED, *SHOWN), f"{where}: language of the block"
            if block.why_not:
                assert block.language in RUN, f"{where}: nothing to run there"
                assert block.why_not in reasons, f"{where}: reason is not in docs/tested.md"
                used.add(block.why_not)
    unused = set(reasons) - used
    assert not unused, f"docs/tested.md has reasons that no block gives: {unused}"


def test_blocks_that_are_not_run_are_listed():
    assert TESTED.read_text() == not_run(), "python3 tests/e2e/pages.py"


def test_blocks_of_data_are_that():
    for path in PAGES:
        for block in blocks(path):
            where = f"{path.name}:{block.line}"
            if block.language == "json":
                assert parsed(block.text), where
            elif block.language == "toml":
                assert tomllib.loads(block.text), where
            elif block.language == "yaml":
                python = REPOSITORY / ".venvs" / "packaging" / "bin" / "python"
                program = "import sys, yaml; assert yaml.safe_load(sys.stdin)"
                subprocess.run([python, "-c", program], input=block.text, text=True, check=True)


def parsed(text: str) -> list:
    """One document of JSON, or a line each."""
    try:
        return [json.loads(text)]
    except ValueError:
        return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize(
    "path", [path for path in PAGES if "```toml" in path.read_text()], ids=lambda path: path.name
)
def test_settings_in_toml_are_taken(path, tmp_path):
    for number, block in enumerate(blocks(path)):
        # A file of keys is none of settings.
        if block.language == "toml" and "[[key]]" not in block.text:
            file = tmp_path / f"{number}.toml"
            file.write_text(block.text)
            ended = run("serve", "--config", str(file), "--print-settings")
            assert ended.returncode == 0, ended.stderr


@pytest.fixture(scope="session")
def embeddings(tmp_path_factory) -> Path:
    """The sets that pages import: as usual, with other names, and with texts beside."""
    folder = tmp_path_factory.mktemp("docs-sets")
    random = numpy.random.default_rng(1)
    rows = 120
    vectors = list(random.random((rows, DIMENSION), dtype=numpy.float32))
    ids = [f"p-{n}" for n in range(rows)]
    metadata = [json.dumps({"genre": "drama" if n % 2 else "crime", "n": n}) for n in range(rows)]
    for place in ("embeddings", "embeddings/en"):
        (folder / place).mkdir()
        frame = pandas.DataFrame({"id": ids, "values": vectors, "metadata": metadata})
        frame.to_parquet(folder / place / "0.parquet")
    # One that is refused, so that there is something to look at and to mend.
    wrong = pandas.DataFrame({"id": ["short"], "values": [[1.0, 2.0]], "metadata": ["{}"]})
    wrong.to_parquet(folder / "embeddings" / "1.parquet")
    for place, names in {"set": ("_id", "emb"), "miracl": ("docid", "emb")}.items():
        (folder / place).mkdir()
        texts = [f"text {n}" for n in range(rows)]
        columns = {names[0]: ids, names[1]: vectors, "title": texts, "text": texts}
        pandas.DataFrame(columns).to_parquet(folder / place / "0.parquet")
    return folder


@pytest.fixture(scope="session")
def buckets(embeddings, request) -> dict[str, dict[str, str]]:
    """The same sets in each store, made when the first page wants them; variables by store."""
    made: dict[str, dict[str, str]] = {}

    class Buckets(dict):
        def __missing__(self, kind: str) -> dict[str, str]:
            self[kind] = fill(kind, embeddings, request)
            return self[kind]

    return Buckets(made)


def fill(kind: str, embeddings: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    if kind == "s3":
        store = request.getfixturevalue("object_store")
        for bucket in ("lake", "bucket", "old", "backups"):
            store.bucket(bucket)
            for place in ("embeddings", "set", "miracl"):
                if bucket != "backups":
                    store.upload(bucket, embeddings / place, place)
        return {
            "CROSSBILL_S3_ENDPOINT": store.url,
            "CROSSBILL_ALLOW_ENDPOINT": store.url,
            "CROSSBILL_ALLOW_EXPORT_URI": "s3://backups",
            "CROSSBILL_S3_REGION": REGION,
            "CROSSBILL_S3_ACCESS_KEY_ID": KEY_ID,
            "CROSSBILL_S3_SECRET_ACCESS_KEY": SECRET,
            "CROSSBILL_INTEGRATION_SECRET_ACCESS_KEY": SECRET,
            "S3_URL": store.url,
            "S3_KEY": KEY_ID,
        }
    # Stores of their own: other tests make buckets of these names, too.
    folder = request.getfixturevalue("tmp_path_factory").mktemp(f"docs-{kind}")
    if kind == "gcs":
        store = FakeGcs(folder)
        request.addfinalizer(store.close)
        store.upload(store.bucket("lake"), embeddings / "embeddings", "embeddings")
        return {"CROSSBILL_GCS_ENDPOINT": store.url}
    store = Azurite(folder)
    request.addfinalizer(store.close)
    store.upload(store.bucket("embeddings"), embeddings / "embeddings", "products")
    return {"CROSSBILL_AZURE_ENDPOINT": store.endpoint}


@pytest.fixture(scope="session")
def model_server(tmp_path_factory):
    made: list[ModelServer] = []

    def make() -> ModelServer:
        if not made:
            made.append(ModelServer(tmp_path_factory.mktemp("docs-models")))
        return made[0]

    yield make
    for server in made:
        server.close()


RUNNABLE = [
    path
    for path in PAGES
    if any(block.language in RUN and not block.why_not for block in blocks(path))
]


@pytest.mark.parametrize("path", RUNNABLE, ids=lambda path: path.name)
def test_every_command_is_run(path, tmp_path, embeddings, buckets, model_server):
    scene = SCENES.get(path.name, Page())
    work, port = tmp_path / "work", free_ports()
    shutil.copytree(embeddings, work / "data")
    for folder in ("srv", "backup", "etc/crossbill", "var/lib"):
        (work / folder).mkdir(parents=True)
    (work / "key.json").write_text(service_account_key() if "gcs" in scene.stores else "{}")
    environment = clean_environment() | surroundings(tmp_path, work, port)
    for kind in scene.stores:
        environment |= buckets[kind]
    models = model_server().url if scene.models else ""
    if scene.models:
        environment |= {"CROSSBILL_EMBEDDING_KEY": MODEL_KEY, "CROSSBILL_RERANK_KEY": MODEL_KEY}
    refused = "".join(f"{words}\t{says}\n" for words, says in scene.refused.items())
    (tmp_path / "refused").write_text(refused)
    script = tmp_path / "page.sh"
    script.write_text(session(path, scene, tmp_path, work, port, models))
    try:
        ended = subprocess.run(
            ["bash", "-euxo", "pipefail", str(script)],
            cwd=work, env=environment, capture_output=True, text=True, timeout=SECONDS_MAX,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    finally:
        subprocess.run(["crossbill", "stop-the-server"], env=environment, check=False)
    log = (tmp_path / "server.log").read_text() if (tmp_path / "server.log").exists() else ""
    assert ended.returncode == 0, f"{ended.stdout[-3000:]}\n{ended.stderr[-5000:]}\n{log[-2000:]}"
    assert "panicked" not in log, log[-3000:]


def surroundings(place: Path, work: Path, port: int) -> dict[str, str]:
    """A `crossbill` and a `python3` of these tests, and settings that the page leaves at their
    defaults."""
    programs = place / "bin"
    programs.mkdir()
    (programs / "crossbill").symlink_to(SHIM)
    # A link would lose the environment that this Python belongs to.
    python = programs / "python3"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    url = f"http://127.0.0.1:{port}"
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "DOCS": str(place),
        "REAL": str(BINARY),
        "WORK": str(work),
        "URL": url,
        "PORT": str(port),
        "CROSSBILL_SERVER": url,
        "CROSSBILL_LISTEN": f"127.0.0.1:{port}",
        "CROSSBILL_INDEX_PORT_FIRST": str(port + 1),
        "CROSSBILL_DATA": str(work / "crossbill-data"),
        "CROSSBILL_ALLOW_IMPORT_DIR": str(work),
        "CROSSBILL_ALLOW_EXPORT_DIR": str(work),
    }


def session(path: Path, scene: Page, place: Path, work: Path, port: int, models: str) -> str:
    """The page as one shell script."""
    lines = [ASK, scene.setup]
    for block in blocks(path):
        if block.why_not or block.language not in RUN:
            continue
        if block.language == "python" and path.name in ELSEWHERE:
            continue
        lines.append(f": {path.name} line {block.line}")
        text = here(block.text, scene, work, port, models)
        if block.language == "sh":
            lines.append(text)
        elif block.language == "python":
            program = place / f"block-{block.line}.py"
            program.write_text(prelude(scene, port) + text)
            lines.append(f'python3 "{program}"')
        else:
            lines += requests(block, scene, text)
    return "\n".join(lines) + "\n"


def here(text: str, scene: Page, work: Path, port: int, models: str) -> str:
    """A page's text with this machine's ports, paths and keys in it."""
    webhook = "whsec_" + base64.b64encode(b"a secret of the tests").decode()
    instead = [
        *scene.instead,
        (r"(127\.0\.0\.1|localhost|0\.0\.0\.0):5080", rf"\1:{port}"),
        (r"http://127\.0\.0\.1:8080", models),
        (
            r"(?<![\w\])}])/(data|srv|backup|etc/crossbill|var/lib/crossbill)(?=[/. \"\n])",
            rf"{work}/\1",
        ),
        (r"AKIA…", KEY_ID),
        (r"(CROSSBILL_(?:S3|INTEGRATION)_SECRET_ACCESS_KEY)=…", rf"\1={SECRET}"),
        (r"CROSSBILL_AZURE_ACCESS_KEY=…", f"CROSSBILL_AZURE_ACCESS_KEY={ACCOUNT_KEY}"),
        (r"whsec_…", webhook),
        (r"\bmylake\b", ACCOUNT),
        (r"http://store\.internal:8333", "$S3_URL"),
    ]
    for found, put in instead:
        text = re.sub(found, put, text)
    assert "…" not in text, f"a gap in a command: {text}"
    return text


def prelude(scene: Page, port: int) -> str:
    """What pages say once and later blocks take for granted."""
    return (
        "from pinecone import Pinecone, ServerlessSpec\n"
        f'pc = Pinecone(api_key="local", host="http://127.0.0.1:{port}")\n'
        f'index = pc.index("{scene.index}") if pc.has_index("{scene.index}") else None\n'
    )


def requests(block: Block, scene: Page, text: str) -> list[str]:
    """Requests to an index, as curl sends them below /data/{index}."""
    calls: list[list[str]] = []
    for line in text.splitlines():
        if match := REQUEST.match(line):
            calls.append([match[1], match[2], match[3]])
        elif calls:
            calls[-1][2] += line
    assert calls, f"line {block.line}: no request"
    lines = []
    for method, target, body in calls:
        sent = f" --data '{body}'" if body else ""
        lines.append(f"ask {method} '/data/{scene.index}{target}'{sent}")
    return lines

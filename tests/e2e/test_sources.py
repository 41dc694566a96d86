"""Imports from Google Cloud Storage and Azure Blob servers, and the integrations by which a server
reaches stores. What speaks S3 is in test_s3.py; what no server here can show is listed in
docs/sources.md.
"""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from pinecone.errors import ApiError

import data
from conftest import client, create
from harness import failure, finished, request, run
from stores import ACCOUNT, WRONG_KEY, Azurite, FakeGcs, service_account_key

pytestmark = pytest.mark.once
DIMENSION = 8
KINDS = ["gcs", "azure"]


@pytest.fixture(scope="module")
def stores(gcs_store, azure_store):
    return {"gcs": gcs_store, "azure": azure_store}


@pytest.fixture(scope="module")
def content(tmp_path_factory) -> tuple[Path, dict[str, data.Records]]:
    """A directory of two namespaces, and what is in it."""
    folder = tmp_path_factory.mktemp("content")
    records = {"en": data.make(1, 300, DIMENSION), "de": data.make(2, 200, DIMENSION, "d")}
    for namespace, rows in records.items():
        data.write_split(folder / namespace, rows, files=2, rows_per_group=70)
    (folder / "_SUCCESS").touch()
    return folder, records


@pytest.fixture(scope="module")
def sets(stores, content) -> dict[str, str]:
    """The same directory in each store, readable with credentials."""
    return {
        kind: store.upload(store.bucket("embeddings"), content[0], "a set/v=1")
        for kind, store in stores.items()
    }


@pytest.fixture
def serve(own_server, tmp_path):
    """A server with these `[[integration]]` tables and flags."""

    def serve(*tables: str, flags: tuple[str, ...] = (), **options):
        config = tmp_path / "crossbill.toml"
        config.write_text("\n".join(tables))
        return own_server("--config", str(config), *flags, **options)

    return serve


def imported(index, uri: str, integration: str | None = None):
    started = index.start_import(uri=uri, integration_id=integration)
    return finished(lambda: index.describe_import(id=started.id))


def fail(index, uri: str, integration: str | None = None) -> str:
    last = imported(index, uri, integration)
    assert last.status == "Failed", last
    return last.error


@pytest.mark.parametrize("kind", KINDS)
def test_prefix_glob_and_single_file(serve, stores, sets, content, kind):
    server = serve(stores[kind].table("store"))
    index = create(client(server), "from-store", DIMENSION)
    last = imported(index, sets[kind], "store")
    assert (last.status, last.records_imported) == ("Completed", 500), last.error
    for namespace, records in content[1].items():
        found = index.fetch(ids=records.ids, namespace=namespace).vectors
        digests = records.digests()
        assert {i: data.digest(v.values, v.metadata) for i, v in found.items()} == digests
    for uri, rows in [
        (f"{sets[kind]}*/part-001.parquet", 250),
        (f"{sets[kind]}en/part-000.parquet", 150),
        (f"{sets[kind].rstrip('/')}/**/part-000.parquet", 250),
        (f"{sets[kind]}en", 300),
    ]:
        last = imported(index, uri, "store")
        assert (last.status, last.records_imported) == ("Completed", rows), (uri, last.error)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_there_is_named(serve, stores, sets, kind):
    # fake-gcs-server answers a listing of a missing bucket with 500, where Google's store says 404:
    # that is tried again for as long as the budget lasts.
    server = serve(stores[kind].table("store"), flags=("--source-retry-budget=2s",))
    index = create(client(server), "from-store", DIMENSION)
    scheme = {"gcs": "gs", "azure": "az"}[kind]
    error = fail(index, f"{scheme}://no-such-place/set/", "store")
    assert "no-such-place" in error and 'integration "store"' in error
    assert stores[kind].url in error
    error = fail(index, f"{scheme}://embeddings/nothing-here/", "store")
    assert "nothing-here" in error and "parquet" in error.lower()
    error = fail(index, f"{scheme}://embeddings/no-such.parquet", "store")
    assert "no-such.parquet" in error and 'integration "store"' in error


def test_azure_spellings_sas_and_default(serve, azure_store: Azurite, sets):
    store = azure_store
    sas = f'account = "{ACCOUNT}"\nsas-token = "{store.sas()}"\n'
    table = f'[[integration]]\nid = "sas"\nkind = "azure"\nendpoint = "{store.endpoint}"\n{sas}'
    flags = (f"--azure-endpoint={store.endpoint}", f"--azure-account={ACCOUNT}")
    key = store.table("unused").split("access-key = ")[1].strip().strip('"')
    server = serve(table, flags=flags, environment={"CROSSBILL_AZURE_ACCESS_KEY": key})
    index = create(client(server), "from-azure", DIMENSION)
    path = sets["azure"].removeprefix("az://embeddings/")
    for uri in [
        sets["azure"],
        f"https://{ACCOUNT}.blob.core.windows.net/embeddings/{path}",
        f"abfss://embeddings@{ACCOUNT}.dfs.core.windows.net/{path}",
    ]:
        for integration in [None, "sas"]:
            last = imported(index, uri, integration)
            assert (last.status, last.records_imported) == ("Completed", 500), (uri, last.error)
    for uri, status in [
        ("https://otheraccount.blob.core.windows.net/embeddings/", 403),
        (f"https://{ACCOUNT}.blob.core.windows.net/embeddings/x?sv=1&sig=canary", 400),
    ]:
        with pytest.raises(ApiError) as caught:
            index.start_import(uri=uri)
        assert caught.value.status_code == status and "canary" not in str(caught.value)
    assert key not in server.log.read_text() and "sig=" not in server.log.read_text()


def test_azure_wrong_key_and_no_key(serve, azure_store: Azurite, content):
    store = azure_store
    private = store.upload(store.bucket("private"), content[0], "set")
    public = store.upload(store.bucket("public", public=True), content[0], "set")
    unsigned = store.table("unsigned").split("access-key")[0]
    server = serve(store.table("wrong", key=WRONG_KEY), unsigned)
    index = create(client(server), "from-azure", DIMENSION)
    error = fail(index, private, "wrong")
    assert 'integration "wrong" (access key)' in error and "403" in error, error
    assert WRONG_KEY not in error + server.log.read_text()
    last = imported(index, public, "unsigned")
    assert (last.status, last.records_imported) == ("Completed", 500), last.error
    error = fail(index, private, "unsigned")
    assert 'integration "unsigned" (unsigned)' in error and "private" in error, error


def test_gcs_service_account_and_default(serve, gcs_store: FakeGcs, sets, tmp_path):
    """The key signs its own tokens; whether Google would take them no server here can say."""
    file = tmp_path / "key.json"
    file.write_text(service_account_key())
    by_file = gcs_store.table("by-file") + f'service-account-file = "{file}"\n'
    by_key = gcs_store.table("by-key") + f"service-account-key = '''{file.read_text()}'''\n"
    missing = gcs_store.table("missing") + 'service-account-file = "/nowhere/key.json"\n'
    server = serve(by_file, by_key, missing, flags=(f"--gcs-endpoint={gcs_store.url}",))
    index = create(client(server), "from-gcs", DIMENSION)
    for integration in ["by-file", "by-key", None]:
        last = imported(index, sets["gcs"], integration)
        assert (last.status, last.records_imported) == ("Completed", 500), last.error
    assert "/nowhere/key.json" in fail(index, sets["gcs"], "missing")


def test_integrations_are_made_used_and_deleted(own_server, stores, sets, tmp_path):
    azure: Azurite = stores["azure"]
    flags = (f"--allow-endpoint={azure.url}", f"--allow-endpoint={stores['gcs'].url}")
    server = own_server(*flags)
    key = azure.table("x").split("access-key = ")[1].strip().strip('"')
    made = run(
        "integrations", "create", "blob", "--kind=azure", f"--endpoint={azure.endpoint}",
        f"--account={ACCOUNT}", "--buckets=embeddings", "--server", server.url, "--json",
        CROSSBILL_INTEGRATION_ACCESS_KEY=key,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    expected = {
        "id": "blob", "kind": "azure", "origin": "api", "credentials": "access key",
        "endpoint": azure.endpoint, "account": ACCOUNT, "buckets": ["embeddings"],
    }  # fmt: skip
    assert json.loads(made.stdout) == expected
    assert request(f"{server.url}/integrations/blob") == expected
    index = create(client(server), "from-store", DIMENSION)
    assert imported(index, sets["azure"], "blob").status == "Completed"

    kept = server.data / "integrations.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert key.encode() in kept.read_bytes()
    server.restart()
    assert request(f"{server.url}/integrations") == {"integrations": [expected]}
    assert imported(index, sets["azure"], "blob").status == "Completed"

    tested = run("integrations", "test", sets["azure"], "--integration=blob", "--server", server.url)
    assert tested.returncode == 0 and "en/part-000.parquet" in tested.stdout, tested.stderr
    assert 'integration "blob" (access key)' in tested.stderr and azure.endpoint in tested.stderr

    twice = {"id": "blob", "kind": "s3"}
    assert failure(f"{server.url}/integrations", twice)[0] == 409
    deleted = run("integrations", "delete", "blob", "--server", server.url)
    assert deleted.returncode == 0, deleted.stderr
    assert key.encode() not in kept.read_bytes()
    with pytest.raises(ApiError) as caught:
        index.start_import(uri=sets["azure"], integration_id="blob")
    assert caught.value.status_code == 400 and "does not exist" in str(caught.value)
    again = run("integrations", "delete", "blob", "--server", server.url)
    assert again.returncode == 1 and "not found" in again.stderr
    assert key not in server.log.read_text() + made.stdout + made.stderr + tested.stderr


def test_a_failed_test_says_what_was_tried(own_server, azure_store: Azurite, sets):
    server = own_server(f"--allow-endpoint={azure_store.url}")
    body = {"id": "wrong", "kind": "azure", "account": ACCOUNT, "access_key": WRONG_KEY}
    request(f"{server.url}/integrations", body | {"endpoint": azure_store.endpoint})
    report = request(
        f"{server.url}/sources/test", {"uri": sets["azure"], "integration_id": "wrong"}
    )
    assert report["readable"] is False and report["files"] == []
    assert "403" in report["error"] and 'integration "wrong"' in report["tried"]
    tested = run("integrations", "test", sets["azure"], "--integration=wrong", "--server", server.url)
    assert tested.returncode == 1 and "403" in tested.stderr
    body = {"uri": "s3://lake/x", "integration_id": "no"}
    status, answer = failure(f"{server.url}/sources/test", body)
    assert status == 400 and "does not exist" in answer["message"]


def test_integrations_of_the_settings_are_the_operators(serve, gcs_store: FakeGcs):
    server = serve(gcs_store.table("fixed"))
    [shown] = request(f"{server.url}/integrations")["integrations"]
    assert (shown["id"], shown["origin"], shown["credentials"]) == ("fixed", "settings", "unsigned")
    status, answer = failure(f"{server.url}/integrations/fixed", method="DELETE")
    assert status == 403 and "server's settings" in answer["message"]
    status, answer = failure(f"{server.url}/integrations", {"id": "fixed", "kind": "gcs"})
    assert status == 409 and "server's settings" in answer["message"]
    for body, expected in [
        ({"id": "x", "kind": "ftp"}, "expected s3, gcs or azure"),
        ({"id": "x", "kind": "gcs", "endpoint": gcs_store.url}, "--allow-endpoint"),
        ({"id": "x", "kind": "s3", "endpoint": "https://127.0.0.1"}, "--allow-endpoint"),
        ({"id": "x", "kind": "s3", "endpoint": "http://169.254.169.254"}, "plain http"),
        ({"id": "x", "kind": "s3", "access_key_id": "canary"}, "one half"),
        ({"id": "x", "kind": "gcs", "service_account_key": "canary"}, "no JSON"),
        ({"id": "x", "kind": "azure", "access_key": "canary"}, "no account"),
        ({"id": "x", "kind": "azure", "region": "canary"}, "kind \"s3\""),
        ({"id": "x", "kind": "s3", "secret-key": "canary"}, "unknown"),
        ({"id": "a/b", "kind": "s3"}, "expected 1 to"),
    ]:
        status, answer = failure(f"{server.url}/integrations", body)
        assert status in (400, 422) and expected in answer["message"], answer
        assert "canary" not in json.dumps(answer)
    assert len(request(f"{server.url}/integrations")["integrations"]) == 1
    assert "canary" not in server.log.read_text()


def test_an_integration_in_use_stays(own_server):
    """Port 9 answers nobody: the import goes on trying until it is cancelled."""
    server = own_server("--allow-endpoint=http://127.0.0.1:9")
    body = {"id": "gone", "kind": "gcs", "endpoint": "http://127.0.0.1:9"}
    request(f"{server.url}/integrations", body)
    index = create(client(server), "waits", DIMENSION)
    started = index.start_import(uri="gs://somewhere/set/", integration_id="gone")
    status, answer = failure(f"{server.url}/integrations/gone", method="DELETE")
    assert status in (400, 409, 412) and f"import {started.id}" in answer["message"], answer
    index.cancel_import(id=started.id)
    request(f"{server.url}/integrations/gone", method="DELETE")
    assert request(f"{server.url}/integrations") == {"integrations": []}

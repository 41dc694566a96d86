"""Imports from a real S3 server: the mission's own way of reading."""

from __future__ import annotations

import pytest
from pinecone.errors import ApiError

import data
from conftest import client, create
from harness import finished
from objectstore import KEY_ID, REGION, SECRET


@pytest.fixture(scope="module")
def bucket(object_store):
    return object_store.bucket("embeddings")


@pytest.fixture
def index(own_server, object_store):
    server = own_server(*object_store.server_flags(), environment=object_store.server_environment())
    return create(client(server), "from-s3", 16)


@pytest.mark.parametrize("mode", ["continue", "abort"])
def test_import_of_a_prefix_with_namespaces(index, object_store, bucket, tmp_path, mode):
    content = {"en": data.make(1, 6_000, 16), "de": data.make(2, 4_000, 16)}
    for namespace, records in content.items():
        data.write_split(tmp_path / namespace, records, files=2, rows_per_group=700)
    (tmp_path / "_SUCCESS").touch()
    uri = object_store.upload(bucket, tmp_path, f"set-{mode}")
    started = index.start_import(uri=uri, error_mode=mode)
    last = finished(lambda: index.describe_import(id=started.id))
    assert (last.status, last.records_imported) == ("Completed", 10_000), last.error
    assert last.uri == uri
    stats = index.describe_index_stats()
    assert {name: space.vector_count for name, space in stats.namespaces.items()} == {
        "en": 6_000,
        "de": 4_000,
    }
    for namespace, records in content.items():
        fetched = index.fetch(ids=records.ids[::97], namespace=namespace).vectors
        digests = records.digests()
        assert len(fetched) == len(records.ids[::97])
        for id_, found in fetched.items():
            assert data.digest(found.values, found.metadata) == digests[id_]


def test_one_object(index, object_store, bucket, tmp_path):
    data.write(tmp_path / "lone.parquet", data.make(3, 100, 16))
    object_store.upload(bucket, tmp_path, "single")
    started = index.start_import(uri=f"s3://{bucket}/single/lone.parquet")
    last = finished(lambda: index.describe_import(id=started.id))
    assert (last.status, last.records_imported) == ("Completed", 100), last.error


def test_a_bucket_that_does_not_exist_fails_and_says_so(index):
    started = index.start_import(uri="s3://no-such-bucket-here/set/")
    last = finished(lambda: index.describe_import(id=started.id))
    assert last.status == "Failed"
    assert "no-such-bucket-here" in last.error


def test_a_prefix_without_objects_fails_and_says_where_it_looked(index, bucket):
    started = index.start_import(uri=f"s3://{bucket}/nothing-here/")
    last = finished(lambda: index.describe_import(id=started.id))
    assert last.status == "Failed"
    assert "nothing-here" in last.error and "parquet" in last.error.lower()


def test_a_wrong_secret_fails_and_does_not_show_it(own_server, object_store, bucket):
    secret = {"CROSSBILL_S3_SECRET_ACCESS_KEY": "not-the-real-secret"}
    server = own_server(*object_store.server_flags(), environment=secret)
    index = create(client(server), "from-s3", 16)
    started = index.start_import(uri=f"s3://{bucket}/set-continue/")
    last = finished(lambda: index.describe_import(id=started.id))
    assert last.status == "Failed"
    assert bucket in last.error
    assert "not-the-real-secret" not in last.error + server.log.read_text()


def test_named_integrations_reach_only_their_buckets(own_server, object_store, bucket, tmp_path):
    data.write(tmp_path / "f.parquet", data.make(4, 20, 16))
    for prefix in ("allowed", "other"):
        object_store.upload(bucket, tmp_path, prefix)
    config = tmp_path / "crossbill.toml"
    config.write_text(
        f'''[[integration]]
id = "warehouse"
endpoint = "{object_store.url}"
region = "{REGION}"
access-key-id = "{KEY_ID}"
secret-access-key = "{SECRET}"
buckets = ["{bucket}/allowed"]
'''
    )
    index = create(client(own_server("--config", str(config))), "from-s3", 16)
    started = index.start_import(uri=f"s3://{bucket}/allowed/", integration_id="warehouse")
    last = finished(lambda: index.describe_import(id=started.id))
    assert (last.status, last.records_imported) == ("Completed", 20), last.error
    for uri in [f"s3://{bucket}/other/", f"s3://{bucket}/allowed-not/", "s3://elsewhere/x/"]:
        with pytest.raises(ApiError) as caught:
            index.start_import(uri=uri, integration_id="warehouse")
        assert caught.value.status_code in (400, 403) and "warehouse" in str(caught.value)


def test_an_unknown_integration_is_refused_at_once(index, bucket):
    with pytest.raises(ApiError) as caught:
        index.start_import(uri=f"s3://{bucket}/x/", integration_id="no-such-integration")
    assert caught.value.status_code == 400
    assert "no-such-integration" in str(caught.value)


def test_an_unreachable_store_leaves_the_import_alive_until_it_is_cancelled(own_server):
    server = own_server("--s3-endpoint=http://127.0.0.1:9", "--s3-region=us-east-1")
    index = create(client(server), "from-s3", 16)
    started = index.start_import(uri="s3://somewhere/set/")
    assert started.id in [one.id for one in index.list_imports()]
    assert index.describe_import(id=started.id).status in ("Pending", "InProgress")
    index.cancel_import(id=started.id)
    assert index.describe_import(id=started.id).status == "Cancelled"

"""What was acknowledged is there after a stop and after a kill; a data directory has one owner."""

from __future__ import annotations

import pytest

import data
from conftest import client, create
from harness import finished, run

DIMENSION = 16


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_everything_is_there_after_a_restart(own_server, source, how):
    server = own_server()
    pc = client(server)
    index = create(pc, "kept", DIMENSION, "dotproduct", tags={"team": "search"})
    create(pc, "dropped", 2)
    imported = data.make(1, 3_000, DIMENSION, "i")
    data.write_split(source / f"restart-{how}" / "bulk", imported, files=3)
    started = index.start_import(uri=f"file://{source}/restart-{how}")
    before = finished(lambda: index.describe_import(id=started.id))
    assert before.status == "Completed", before.error
    upserted = data.make(2, 900, DIMENSION, "u")
    index.upsert(vectors=list(upserted.vectors()), namespace="live")
    index.update(id="u0000003", set_metadata={"new": "yes"}, namespace="live")
    index.delete(ids=["u0000000", "u0000001"], namespace="live")
    index.delete(ids=["i0000000"], namespace="bulk")
    index.update(id="i0000001", values=[0.5] * DIMENSION, namespace="bulk")
    index.create_namespace(name="empty")
    pc.delete_index("dropped")
    host = index.host

    if how == "stop":
        assert server.stop() == 0
    else:
        server.kill()
    server.start()

    pc = client(server)
    described = pc.describe_index("kept")
    assert (described.host, described.metric, described.dimension) == (
        host,
        "dotproduct",
        DIMENSION,
    )
    assert dict(described.tags) == {"team": "search"}
    assert [one.name for one in pc.list_indexes()] == ["kept"]
    index = pc.index("kept")
    counts = {
        name: one.vector_count for name, one in index.describe_index_stats().namespaces.items()
    }
    assert {name: counts[name] for name in ("bulk", "live")} == {"bulk": 2_999, "live": 898}
    assert index.describe_namespace(name="empty").record_count == 0
    assert index.describe_import(id=started.id) == before
    expected = upserted.digests()
    found = index.fetch(ids=upserted.ids[:100], namespace="live").vectors
    assert set(found) == set(upserted.ids[2:100])
    assert found.pop("u0000003").metadata["new"] == "yes"
    assert all(data.digest(one.values, one.metadata) == expected[id_] for id_, one in found.items())
    found = index.fetch(ids=imported.ids[:3], namespace="bulk").vectors
    assert set(found) == set(imported.ids[1:3])
    assert found["i0000001"].values == [0.5] * DIMENSION
    assert found["i0000001"].metadata == imported.metadata[1]
    # A query after the restart sees segments, updates and deletes alike.
    answer = index.query(vector=[1.0] * DIMENSION, top_k=3_000, namespace="bulk")
    assert len(answer.matches) == 2_999 and "i0000000" not in {one.id for one in answer.matches}


def test_an_import_goes_on_after_a_stop(own_server, source):
    server = own_server()
    index = create(client(server), "resumed", 64)
    records = data.make(3, 60_000, 64)
    for part in range(6):
        rows = slice(part * 10_000, (part + 1) * 10_000)
        content = data.Records(records.ids[rows], records.values[rows], records.metadata[rows])
        data.write(source / "stopped" / f"ns{part}" / "f.parquet", content)
    started = index.start_import(uri=f"file://{source}/stopped")
    assert server.stop() == 0
    server.start()
    last = finished(lambda: index.describe_import(id=started.id))
    assert (last.status, last.records_imported) == ("Completed", 60_000), last.error
    assert index.describe_index_stats().total_vector_count == 60_000


def test_a_data_directory_has_one_server(own_server):
    server = own_server()
    second = run("serve", "--listen", "127.0.0.1:0", "--data", str(server.data))
    assert second.returncode != 0
    assert str(server.data) in second.stderr
    assert server.alive()

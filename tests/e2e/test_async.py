"""The asyncio client: the same calls over the same wire."""

from __future__ import annotations

import asyncio

import data
from pinecone import AsyncPinecone, ServerlessSpec


async def collected(listing):
    return [one async for one in listing]


def test_the_mission_by_the_asyncio_client(server, source):
    records = data.make(1, 800, 12)
    data.write_split(source / "async" / "ns", records, files=2)

    async def mission():
        async with AsyncPinecone(api_key="local", host=server.url) as pc:
            spec = ServerlessSpec(cloud="aws", region="us-east-1")
            await pc.create_index(name="async", dimension=12, metric="euclidean", spec=spec)
            async with await pc.index("async") as index:
                started = await index.start_import(uri=f"file://{source}/async/")
                while True:
                    last = await index.describe_import(id=started.id)
                    if last.status in ("Completed", "Failed", "Cancelled"):
                        break
                    await asyncio.sleep(0.05)
                assert (last.status, last.records_imported) == ("Completed", 800), last.error
                assert [one.id for one in await collected(index.list_imports())] == [started.id]
                await index.cancel_import(id=started.id)
                await index.upsert(
                    vectors=[("extra", [9.0] * 12, {"color": "pink"})], namespace="ns"
                )
                answers = await asyncio.gather(
                    *[
                        index.query(vector=records.values[row].tolist(), top_k=1, namespace="ns")
                        for row in range(32)
                    ]
                )
                assert [one.matches[0].id for one in answers] == records.ids[:32]
                pink = await index.query(
                    vector=[0.0] * 12, top_k=5, namespace="ns", filter={"color": "pink"}
                )
                assert [one.id for one in pink.matches] == ["extra"]
                pages = await collected(index.list(namespace="ns"))
                assert len([item.id for page in pages for item in page.vectors]) == 801
                stats = await index.describe_index_stats()
                assert stats.total_vector_count == 801
                await index.delete(ids=["extra"], namespace="ns")
                assert (await index.fetch(ids=["extra"], namespace="ns")).vectors == {}
            await pc.delete_index("async")

    asyncio.run(mission())


def test_many_clients_at_once(new_index):
    """Upserts from many connections, all acknowledged, all there."""
    index = new_index(8)
    records = data.make(2, 2_000, 8)
    vectors = list(records.vectors())

    async def send():
        async with AsyncPinecone(api_key="local", host="http://127.0.0.1:1") as pc:
            async with await pc.index(host=index.host) as shared:
                await asyncio.gather(
                    *[shared.upsert(vectors=vectors[at : at + 20]) for at in range(0, 2_000, 20)]
                )

    asyncio.run(send())
    assert index.describe_index_stats().total_vector_count == 2_000
    found = index.fetch(ids=records.ids[::9]).vectors
    digests = records.digests()
    assert all(data.digest(one.values, one.metadata) == digests[id_] for id_, one in found.items())
    assert len(found) == len(records.ids[::9])

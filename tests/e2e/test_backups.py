"""Backups, restores, collections and schedules through the official client, sync and asyncio; what
kill -9 in the middle of them leaves; and that the space comes back."""

from __future__ import annotations

import asyncio
import http.client
import signal
import urllib.error
from importlib.metadata import version
from pathlib import Path

import pytest
from pinecone import AsyncPinecone, Pinecone

import data
from conftest import client, create
from harness import Server, request, run, wait_for

DIMENSION = 8
NEWEST = int(version("pinecone").split(".")[0]) >= 10
DROPPED = (urllib.error.URLError, ConnectionError, http.client.HTTPException)


def content(index, namespace: str = "") -> dict[str, list[float]]:
    ids = [item.id for page in index.list(namespace=namespace) for item in page.vectors]
    found = index.fetch(ids=ids, namespace=namespace).vectors if ids else {}
    return {id_: list(one.values) for id_, one in found.items()}


def fill(index, count: int = 200) -> None:
    records = data.make(3, count, DIMENSION)
    vectors = list(zip(records.ids, records.values.tolist()))
    index.upsert(vectors=vectors)
    index.upsert(vectors=vectors[:20], namespace="other")


def made_of_pods(pc: Pinecone, name: str, pod: dict) -> None:
    body = {"name": name, "dimension": DIMENSION, "metric": "dotproduct", "spec": {"pod": pod}}
    if NEWEST:  # This version of the client makes no pods: as an older one would.
        request(f"{request_url(pc)}/indexes", body)
    else:
        from pinecone import PodSpec

        pc.create_index(**body | {"spec": PodSpec(**pod)})


@pytest.fixture
def pc(own_server) -> Pinecone:
    return client(own_server())


def test_a_backup_outlives_its_index_and_is_restored(pc):
    index = create(pc, "source", DIMENSION, "euclidean", tags={"team": "search"})
    fill(index)
    made = pc.backups.create(index_name="source", name="nightly", description="of the old model")
    assert (made.status, made.record_count, made.namespace_count) == ("Ready", 220, 2)
    assert (made.name, made.description) == ("nightly", "of the old model")
    assert (made.source_index_name, made.tags) == ("source", {"team": "search"})
    if NEWEST:
        assert made.dense_dimension == DIMENSION
    else:
        assert (made.dimension, made.metric) == (DIMENSION, "euclidean")
    expected, other = content(index), content(index, "other")
    index.delete(delete_all=True)
    index.upsert(vectors=[("later", [1.0] * DIMENSION)])
    pc.delete_index("source")
    restored = pc.create_index_from_backup(name="restored", backup_id=made.backup_id)
    assert (restored.name, restored.status.ready) == ("restored", True)
    assert (restored.dimension, restored.metric) == (DIMENSION, "euclidean")
    assert restored.tags == {"team": "search"}
    copy = pc.index("restored")
    assert content(copy) == expected and content(copy, "other") == other
    id_, values = next(iter(expected.items()))
    assert copy.query(vector=values, top_k=1).matches[0].id == id_
    answer = pc.create_index_from_backup(
        name="second",
        backup_id=made.backup_id,
        tags={"a": "b"},
        deletion_protection="enabled",
        timeout=-1,
    )
    job = pc.restore_jobs.describe(job_id=answer.restore_job_id)
    assert (job.status, job.backup_id) == ("Completed", made.backup_id)
    assert (job.target_index_name, job.target_index_id) == ("second", answer.index_id)
    second = pc.describe_index("second")
    assert (second.tags, second.deletion_protection) == ({"a": "b"}, "enabled")
    jobs = pc.restore_jobs.list()
    assert {one.target_index_name for one in jobs} == {"restored", "second"}
    pc.backups.delete(backup_id=made.backup_id)
    with pytest.raises(Exception, match="not found"):
        pc.backups.describe(backup_id=made.backup_id)
    assert content(pc.index("second")) == expected


def test_listings_by_pages(pc):
    fill(create(pc, "many", DIMENSION), 5)
    create(pc, "none", DIMENSION)
    made = {pc.backups.create(index_name="many", name=f"b{n}").backup_id for n in range(7)}
    seen, token = [], None
    while True:
        limit = {} if token else {"limit": 3}
        page = pc.backups.list(index_name="many", pagination_token=token, **limit)
        assert len(page) <= 3
        seen += [one.backup_id for one in page]
        token = page.pagination.next if page.pagination else None
        if not token:
            break
    assert len(seen) == 7 and set(seen) == made
    assert len(pc.backups.list(limit=100)) == 7
    assert len(pc.backups.list(index_name="none")) == 0


def test_a_collection_is_a_copy_with_a_name(own_server):
    pc = client(own_server())
    pod = {"environment": "us-east1-gcp", "pod_type": "p1.x1"}
    made_of_pods(pc, "pods", pod)
    index = pc.index("pods")
    fill(index)
    made = pc.collections.create(name="frozen", source="pods")
    assert (made.name, made.status, made.vector_count) == ("frozen", "Ready", 220)
    assert pc.collections.list().names() == ["frozen"]
    described = pc.collections.describe("frozen")
    assert (described.dimension, described.size > 0) == (DIMENSION, True)
    expected = content(index)
    pc.delete_index("pods")
    made_of_pods(pc, "again", pod | {"source_collection": "frozen"})
    assert content(pc.index("again")) == expected
    pc.collections.delete("frozen")
    assert pc.collections.list().names() == []
    assert content(pc.index("again")) == expected


@pytest.mark.skipif(not NEWEST, reason="this version of the client has no schedules")
def test_schedules(pc):
    create(pc, "planned", DIMENSION)
    schedules = pc.backup_schedules
    made = schedules.create(
        index_name="planned", name="nightly", frequency="daily", retention_days=90
    )
    assert (made.frequency, made.retention_expire_after_days) == ("daily", 90)
    assert made.enabled and made.next_scheduled_run > made.created_at
    assert schedules.describe(schedule_id=made.schedule_id) == made
    assert [one.schedule_id for one in schedules.list(index_name="planned")] == [made.schedule_id]
    with pytest.raises(Exception, match="already"):
        schedules.create(index_name="planned", name="x", frequency="weekly", retention_days=1)
    changed = schedules.update(schedule_id=made.schedule_id, frequency="weekly", enabled=False)
    assert (changed.frequency, changed.enabled) == ("weekly", False)
    assert changed.next_scheduled_run is None
    assert len(schedules.history(schedule_id=made.schedule_id)) == 0
    schedules.delete(schedule_id=made.schedule_id)
    assert len(schedules.list(index_name="planned")) == 0


def test_by_the_asyncio_client(pc, own_server):
    fill(create(pc, "slow", DIMENSION))
    host = request_url(pc)

    async def mission() -> None:
        async with AsyncPinecone(api_key="local", host=host) as apc:
            made = await apc.backups.create(index_name="slow")
            assert made.status == "Ready"
            assert (await apc.backups.describe(backup_id=made.backup_id)).record_count == 220
            page = await apc.backups.list(index_name="slow")
            assert [one.backup_id for one in page] == [made.backup_id]
            restored = await apc.create_index_from_backup(name="quick", backup_id=made.backup_id)
            assert restored.status.ready
            jobs = await apc.restore_jobs.list(limit=5)
            assert [one.target_index_name for one in jobs] == ["quick"]
            await apc.backups.delete(backup_id=made.backup_id)
            with pytest.raises(Exception, match="pods"):
                await apc.collections.create(name="c", source="quick")
            await apc.collections.create(name="c", source="pods")
            assert (await apc.collections.list()).names() == ["c"]
            await apc.collections.delete("c")

    made_of_pods(pc, "pods", {"environment": "us-east1-gcp", "pod_type": "p1.x1"})
    asyncio.run(mission())
    assert len(content(pc.index("quick"))) == 200


def request_url(pc: Pinecone) -> str:
    return pc.config.host


def segments(server: Server) -> list[Path]:
    return sorted((server.data / "indexes").rglob("*.seg"))


class Scene:
    """A server with an index, and what its namespace holds."""

    def __init__(self, server: Server):
        self.server = server
        spec = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
        index = {"name": "kills", "dimension": 2, "metric": "euclidean", "spec": spec}
        request(f"{server.url}/indexes", index)
        self.upsert("kills", 50)

    def upsert(self, name: str, count: int) -> None:
        vectors = [{"id": f"v{n:03d}", "values": [n, 1]} for n in range(count)]
        host = self.server.index_url(name)
        request(f"{host}/vectors/upsert", {"vectors": vectors})

    def total(self, name: str) -> int:
        host = self.server.index_url(name)
        return request(f"{host}/describe_index_stats", {})["totalVectorCount"]

    def names(self) -> list[str]:
        return [one["name"] for one in request(f"{self.server.url}/indexes")["indexes"]]

    def backups(self) -> list[str]:
        return [one["backup_id"] for one in request(f"{self.server.url}/backups")["data"]]

    def backup(self) -> str:
        return request(f"{self.server.url}/indexes/kills/backups", {})["backup_id"]

    def restart(self, **environment: str) -> None:
        self.server.stop()
        self.server.start(**environment)

    def killed(self, url: str, body: dict | None = None, method: str | None = None) -> None:
        with pytest.raises(DROPPED):
            request(f"{self.server.url}{url}", body, method=method)
        process = self.server.process
        wait_for(lambda: process.poll() is not None, 30, "kill")
        assert process.returncode == -signal.SIGKILL, self.server.log_tail()
        self.server.start()

    def everything_can_go(self) -> None:
        for id_ in self.backups():
            request(f"{self.server.url}/backups/{id_}", method="DELETE")
        for name in self.names():
            request(f"{self.server.url}/indexes/{name}", method="DELETE")
        self.restart()
        assert segments(self.server) == []
        assert list((self.server.data / "indexes").iterdir()) == []


@pytest.mark.once
@pytest.mark.parametrize(
    ("point", "there"),
    [
        ("backup.held:1", False),
        ("backup.content_written:1", False),
        ("catalog.commit_before:1", False),
        ("catalog.commit_after:1", True),
    ],
)
def test_killed_while_a_backup_is_made(own_server, point, there):
    scene = Scene(own_server())
    scene.restart(CROSSBILL_KILL_AT=point)
    scene.killed("/indexes/kills/backups", {})
    assert len(scene.backups()) == (1 if there else 0)
    assert scene.total("kills") == 50
    if there:
        restore = f"{scene.server.url}/backups/{scene.backups()[0]}/create-index"
        request(restore, {"name": "restored"})
        assert scene.total("restored") == 50
    scene.everything_can_go()


@pytest.mark.once
@pytest.mark.parametrize(
    ("point", "there"),
    [
        ("manifest.put_after:1", False),
        ("restore.manifests_written:1", False),
        ("catalog.commit_before:1", False),
        ("catalog.commit_after:1", True),
        ("restore.committed:1", True),
    ],
)
def test_killed_while_a_backup_is_restored(own_server, point, there):
    scene = Scene(own_server())
    id_ = scene.backup()
    scene.restart(CROSSBILL_KILL_AT=point)
    scene.killed(f"/backups/{id_}/create-index", {"name": "restored"})
    assert scene.names() == (["kills", "restored"] if there else ["kills"])
    if not there:
        request(f"{scene.server.url}/backups/{id_}/create-index", {"name": "restored"})
    assert scene.total("restored") == 50
    scene.upsert("restored", 60)
    assert (scene.total("restored"), scene.total("kills")) == (60, 50)
    scene.everything_can_go()


@pytest.mark.once
@pytest.mark.parametrize(
    ("point", "there"),
    [
        ("catalog.commit_before:1", True),
        ("catalog.commit_after:1", False),
        ("backup.deleted:1", False),
        ("sweep.before_delete:1", False),
    ],
)
def test_killed_while_a_backup_is_deleted(own_server, point, there):
    scene = Scene(own_server())
    id_ = scene.backup()
    request(f"{scene.server.url}/indexes/kills", method="DELETE")
    assert len(segments(scene.server)) == 1
    scene.restart(CROSSBILL_KILL_AT=point)
    scene.killed(f"/backups/{id_}", method="DELETE")
    assert scene.backups() == ([id_] if there else [])
    assert len(segments(scene.server)) == (1 if there else 0)
    scene.everything_can_go()


@pytest.mark.once
@pytest.mark.parametrize("point", ["catalog.commit_after:1", "sweep.before_delete:1"])
def test_killed_while_the_source_is_deleted(own_server, point):
    scene = Scene(own_server())
    id_ = scene.backup()
    scene.restart(CROSSBILL_KILL_AT=point)
    scene.killed("/indexes/kills", method="DELETE")
    assert scene.names() == []
    request(f"{scene.server.url}/backups/{id_}/create-index", {"name": "restored"})
    assert scene.total("restored") == 50
    scene.everything_can_go()


@pytest.mark.once
def test_from_the_shell(own_server, tmp_path):
    scene = Scene(own_server())
    server = ["--server", scene.server.url]
    made = run("backups", "create", "--index", "kills", "--name", "first", *server)
    assert made.returncode == 0 and "first" in made.stdout, made.stderr
    id_ = scene.backups()[0]
    assert id_ in run("backups", "list", *server).stdout
    restored = run("backups", "restore", id_, "--to", "again", *server)
    assert restored.stdout == "restored index again\n", restored.stderr
    assert scene.total("again") == 50
    plan = ["--every", "month", "--keep-days", "365", "--keep-last", "12"]
    planned = run("backups", "schedule", "monthly", "--index", "again", *plan, *server)
    assert planned.returncode == 0 and "monthly" in planned.stdout, planned.stderr
    assert run("backups", "delete", id_, *server).returncode == 0
    assert run("backups", "describe", id_, *server).returncode == 1

"""Running the server for others: keys that change, certificates that are renewed, what the logs
say, and that nothing secret is in them."""

from __future__ import annotations

import json
import os
import signal
import ssl
import urllib.error
from pathlib import Path
from typing import Any

import pytest
from pinecone import Pinecone, ServerlessSpec

from harness import Server, free_ports, request, run, wait_for
from tls import certificates

pytestmark = pytest.mark.once

SPEC = ServerlessSpec(cloud="aws", region="us-east-1")


def new_key(file: Path, name: str, role: str, *flags: str) -> str:
    ended = run("keys", "new", name, "--role", role, "--file", str(file), *flags)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def status(server: Server, path: str, key: str, method: str | None = None) -> int:
    try:
        request(server.url + path, headers={"Api-Key": key}, method=method)
        return 200
    except urllib.error.HTTPError as error:
        return error.code


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_keys_have_roles_and_change_without_a_restart(tmp_path):
    file, audit = tmp_path / "keys.toml", tmp_path / "audit.jsonl"
    ops = new_key(file, "ops", "admin")
    shop = new_key(file, "shop", "read", "--index", "products")
    assert file.stat().st_mode & 0o777 == 0o600
    assert ops not in file.read_text() and shop not in file.read_text()
    assert run("keys", "new", "ops", "--role", "read", "--file", str(file)).returncode == 2
    with Server(
        tmp_path / "data", "--keys-file", str(file), "--audit-log", str(audit), "--log-format", "json"
    ) as server:
        pc = Pinecone(api_key=ops, host=server.url)
        for name in ("products", "secret"):
            pc.create_index(name=name, dimension=2, metric="cosine", spec=SPEC)
        pc.index("products").upsert(vectors=[("a", [1.0, 0.0])])
        reader = Pinecone(api_key=shop, host=server.url)
        assert [one.name for one in reader.list_indexes()] == ["products"]
        assert reader.index("products").query(vector=[1.0, 0.0], top_k=1).matches[0].id == "a"
        with pytest.raises(Exception, match="has the role read, expected write or admin"):
            reader.index("products").upsert(vectors=[("b", [1.0, 0.0])])
        assert status(server, "/indexes/secret", shop) == 403
        assert status(server, "/indexes/nothing", shop) == 403

        late = new_key(file, "late", "read")
        wait_for(lambda: status(server, "/indexes", late) == 200, 30, "new key let in")
        kept = file.read_text()
        # What cannot be read changes nothing, and what stands there is not shown.
        file.write_text("hush = [")
        told = lambda: "not changed" in audit.read_text()  # noqa: E731
        wait_for(told, 30, "word of the broken file")
        assert status(server, "/indexes", ops) == 200
        without = kept.split("[[key]]")
        file.write_text("[[key]]".join(part for part in without if '"shop"' not in part))
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: status(server, "/indexes", shop) == 401, 30, "old key refused")
        assert status(server, "/indexes", late) == 200

        os.rename(audit, tmp_path / "audit.1")
        server.process.send_signal(signal.SIGHUP)
        wait_for(audit.exists, 30, "new audit log")
        assert status(server, "/indexes/secret", ops, "DELETE") == 200
        assert server.stop() == 0
        text = server.log.read_text()
    events = lines(tmp_path / "audit.1") + lines(audit)
    changes = [(one["key"], one["method"], one["path"]) for one in events if one["event"] == "change"]
    expected = [("ops", "POST", "/indexes")] * 2 + [("ops", "DELETE", "/indexes/secret")]
    assert changes == expected
    refused = [(one.get("key"), one["status"]) for one in events if one["event"] == "refusal"]
    assert ("shop", 403) in refused and (None, 401) in refused
    for secret in (ops, shop, late, "hush"):
        assert secret not in text
        assert not any(secret in json.dumps(one) for one in events)
    # Every line is JSON but what is said to people at the start and the end; a refusal has the id
    # of its request, and the audit log has the same.
    logged = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    ids = {line["span"]["request_id"] for line in logged if line["message"] == "refused"}
    assert {one["request_id"] for one in events if one["event"] == "refusal"} <= ids


def test_a_renewed_certificate_is_shown_without_a_restart(tmp_path, monkeypatch):
    authority, certificate, key = certificates(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    flags = ["--tls-cert", str(certificate), "--tls-key", str(key)]
    server = Server(tmp_path / "data", *flags, scheme="https")

    def shown() -> str:
        address = ("127.0.0.1", server.ports)
        return ssl.get_server_certificate(address)

    with server:
        first = shown()
        assert first.strip() == certificate.read_text().strip()
        other = tmp_path / "other"
        other.mkdir()
        _, renewed, renewed_key = certificates(other)
        # Between the two files the pair does not go together: the old one stays.
        certificate.write_text(renewed.read_text())
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "certificate: not changed" in server.log.read_text(), 30, "word of it")
        assert shown() == first
        key.write_text(renewed_key.read_text())
        wait_for(lambda: shown().strip() == renewed.read_text().strip(), 30, "new certificate")


def test_requests_over_the_limit_wait(tmp_path):
    """The official client waits as it is told and loses nothing."""
    with Server(tmp_path / "data", "--requests-per-second", "20") as server:
        codes = [status(server, "/indexes", "local") for _ in range(60)]
        assert set(codes) == {200, 429}
        assert status(server, "/health", "local") == 200
        pc = Pinecone(api_key="local", host=server.url)
        wait_for(lambda: status(server, "/indexes", "local") == 200, 10, "a second's rest")
        assert [len(list(pc.list_indexes())) for _ in range(40)] == [0] * 40


def test_other_addresses_are_served_with_a_keys_file(tmp_path):
    port = str(free_ports())
    flags = ["serve", "--listen", f"0.0.0.0:{port}", "--data", str(tmp_path / "data")]
    refused = run(*flags)
    assert refused.returncode == 2 and "--keys-file" in refused.stderr
    (tmp_path / "empty.toml").write_text("")
    refused = run(*flags, "--keys-file", str(tmp_path / "empty.toml"))
    assert refused.returncode == 2 and "found no key" in refused.stderr

"""Webhooks on the end of an import, against a real receiver that fails at first."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import data
import harness
from harness import run, wait_for

pytestmark = pytest.mark.once

SECRET = "whsec_" + base64.b64encode(b"a secret of 24 bytes, ok").decode()


def verified(headers, body, secret=SECRET):
    """What docs/import-control.md tells a receiver to do."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    fresh = abs(time.time() - int(headers["webhook-timestamp"])) < 300
    return fresh and hmac.compare_digest(expected, headers["webhook-signature"])


class Receiver:
    """Answers with the statuses given, one a request, then with 204; None resets."""

    def __init__(self, *statuses):
        self.statuses, self.seen = list(statuses), []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.seen.append((dict(self.headers.items()), body, self.path))
                status = receiver.statuses.pop(0) if receiver.statuses else 204
                if status is None:
                    self.close_connection = True
                    return self.connection.close()
                self.send_response(status)
                if status == 302:
                    self.send_header("location", "/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook?token=t0ken"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def messages(self):
        return [(headers["webhook-id"], json.loads(body)) for headers, body, _ in self.seen]


@pytest.fixture
def receiver():
    made = Receiver(500, None, 302, 429)
    yield made
    made.close()


def started(own_server, url):
    environment = {"CROSSBILL_WEBHOOK_SECRET": SECRET}
    server = own_server(f"--webhook-url={url}", environment=environment)
    spec = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
    body = {"name": "shop", "dimension": 4, "metric": "euclidean", "spec": spec}
    harness.request(f"{server.url}/indexes", body)
    return server, server.index_url("shop")


def ended(url, folder, **options):
    id_ = harness.request(f"{url}/bulk/imports", {"uri": f"file://{folder}"} | options)["id"]

    def seen():
        seen = harness.request(f"{url}/bulk/imports/{id_}")
        return seen if "finishedAt" in seen else None

    return wait_for(seen, 60, "end of the import")


def state(url, id_):
    return harness.request(f"{url}/bulk/imports/{id_}")["webhook"]


def test_the_end_of_an_import_is_told_until_it_is_taken(own_server, source, receiver):
    data.write(source / "hooks" / "1.parquet", data.make(1, 50, 4))
    server, url = started(own_server, receiver.url)
    last = ended(url, source / "hooks")
    wait_for(lambda: state(url, last["id"]) == "delivered", 60, "delivery")
    assert len(receiver.seen) == 5, "four failures, then one that was taken"
    for headers, body, path in receiver.seen:
        assert verified(headers, body) and path == "/hook?token=t0ken"
        assert not verified(headers, body + b" ") and not verified(headers, body, "whsec_AAAA")
        assert headers["content-type"] == "application/json"
    assert len({(id_, json.dumps(body)) for id_, body in receiver.messages()}) == 1
    _, told = receiver.messages()[0]
    assert told["type"] == "import.finished" and told["timestamp"] == last["finishedAt"]
    assert told["data"]["index"] == "shop"
    last.pop("webhook")
    assert told["data"]["import"] == last
    # Each end is told with an id of its own: one that fails, one that is cancelled.
    failed = ended(url, source / "hooks" / "nowhere")
    wait_for(lambda: state(url, failed["id"]) == "delivered", 60, "delivery")
    ids = [id_ for id_, _ in receiver.messages()]
    assert len(set(ids)) == 2
    assert receiver.messages()[-1][1]["data"]["import"]["status"] == "Failed"
    log = server.log.read_text()
    assert "trying again" in log and SECRET not in log and "t0ken" not in log
    assert SECRET.removeprefix("whsec_") not in log


def test_an_end_that_was_not_told_is_told_after_a_kill(own_server, source):
    data.write(source / "hooks-kill" / "1.parquet", data.make(1, 50, 4))
    receiver = Receiver(*[503] * 1000)
    server, url = started(own_server, receiver.url)
    last = ended(url, source / "hooks-kill")
    wait_for(lambda: len(receiver.seen) >= 2, 60, "two attempts")
    assert state(url, last["id"]) == "due"
    server.kill()
    receiver.statuses.clear()
    server.start()
    url = server.index_url("shop")
    wait_for(lambda: state(url, last["id"]) == "delivered", 60, "delivery")
    told = receiver.messages()
    assert len({id_ for id_, _ in told}) == 1 and verified(*receiver.seen[-1][:2])
    count = len(told)
    server.restart()
    assert state(server.index_url("shop"), last["id"]) == "delivered"
    assert len(receiver.seen) == count, "it is not told again"
    receiver.close()


def test_what_is_no_webhook_is_refused_and_no_request_may_name_one(own_server, source, tmp_path):
    serve = ["serve", "--data", str(tmp_path / "d"), "--listen", "127.0.0.1:0"]
    secret = {"CROSSBILL_WEBHOOK_SECRET": SECRET}
    for flags, environment, expected in [
        (["--webhook-url=http://127.0.0.1:9/"], {}, "--webhook-secret"),
        (["--webhook-url=http://127.0.0.1:9/"], {"CROSSBILL_WEBHOOK_SECRET": "short"}, "16"),
        (["--webhook-url=ftp://127.0.0.1/"], secret, "http://HOST"),
        (["--webhook-url=http://169.254.169.254/"], secret, "169.254.169.254"),
        ([], secret, "--webhook-url"),
    ]:
        refused = run(*serve, *flags, **environment)
        assert refused.returncode == 2 and expected in refused.stderr, refused.stderr
        assert SECRET not in refused.stderr
    printed = run(*serve, "--print-settings", "--webhook-url=http://127.0.0.1:9/", **secret)
    assert json.loads(printed.stdout)["webhook-secret"]["value"] == "(set)"
    data.write(source / "hooks-none" / "1.parquet", data.make(1, 5, 4))
    server = own_server()
    spec = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
    body = {"name": "shop", "dimension": 4, "metric": "euclidean", "spec": spec}
    harness.request(f"{server.url}/indexes", body)
    url = server.index_url("shop")
    for field in ("webhookUrl", "webhook"):
        start = {"uri": f"file://{source}/hooks-none", field: "http://127.0.0.1:9/"}
        assert harness.failure(f"{url}/bulk/imports", start)[0] == 400
    assert "webhook" not in ended(url, source / "hooks-none")

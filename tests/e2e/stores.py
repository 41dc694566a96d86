"""Real Azure Blob and Google Cloud Storage servers (Azurite, fake-gcs-server) for the tests that
import from them, each with the little of a client that fills it.

`CROSSBILL_AZURITE` and `CROSSBILL_FAKE_GCS` name their programs; without them those that `./test`
installs under `.venvs/` are taken.
"""

from __future__ import annotations

import base64
import email.utils
import glob
import hashlib
import hmac
import json
import os
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from harness import REPOSITORY, free_ports, wait_for

VENVS = REPOSITORY / ".venvs"
AZURITE = os.environ.get(
    "CROSSBILL_AZURITE", str(VENVS / "azurite" / "node_modules" / ".bin" / "azurite-blob")
)
FAKE_GCS = os.environ.get("CROSSBILL_FAKE_GCS") or next(
    iter(glob.glob(str(VENVS / "gcs" / "lib/python3*/site-packages/*/vendor/*/bin/*linux-amd64"))),
    "fake-gcs-server",
)
# Azurite's own published account, in every copy of it.
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
WRONG_KEY = base64.b64encode(b"not the key of this account").decode()
START_SECONDS_MAX = 90


class StoreServer:
    """A server process on a free port."""

    def __init__(self, name: str, folder: Path, command: list[str], port: int):
        folder.mkdir(parents=True, exist_ok=True)
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / f"{name}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder
            )
        wait_for(self.answers, START_SECONDS_MAX, f"answer of {name}", pause_seconds=0.1)

    def answers(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended:\n{self.log.read_text()[-2000:]}")
        try:
            urllib.request.urlopen(self.url, timeout=5).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


class FakeGcs(StoreServer):
    """fake-gcs-server, filled over its JSON interface. It checks no credentials."""

    def __init__(self, folder: Path):
        port = free_ports()
        address = f"127.0.0.1:{port}"
        command = [FAKE_GCS, "-scheme", "http", "-host", "127.0.0.1", "-port", str(port)]
        command += ["-backend", "memory", "-external-url", f"http://{address}"]
        super().__init__("gcs", folder, command + ["-public-host", address], port)

    def table(self, name: str, endpoint: str | None = None) -> str:
        """An `[[integration]]` table for this store, or for a proxy before it."""
        return f'[[integration]]\nid = "{name}"\nkind = "gcs"\nendpoint = "{endpoint or self.url}"\n'

    def bucket(self, name: str) -> str:
        self._post("/storage/v1/b?project=p", json.dumps({"name": name}).encode())
        return name

    def upload(self, bucket: str, folder: Path, prefix: str) -> str:
        for path in files(folder):
            key = urllib.parse.quote(f"{prefix}/{path.relative_to(folder).as_posix()}", safe="")
            self._post(
                f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={key}", path.read_bytes()
            )
        return f"gs://{bucket}/{prefix}/"

    def _post(self, path: str, body: bytes) -> None:
        headers = {"Content-Type": "application/octet-stream"}
        request = urllib.request.Request(self.url + path, body, headers, method="POST")
        urllib.request.urlopen(request, timeout=30).close()


class Azurite(StoreServer):
    """Azurite's blob service, filled with requests signed as Azure wants them."""

    def __init__(self, folder: Path):
        port = free_ports()
        command = [AZURITE, "--blobHost", "127.0.0.1", "--blobPort", str(port), "--silent"]
        command += ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]
        super().__init__("azurite", folder, command, port)
        self.endpoint = f"{self.url}/{ACCOUNT}"

    def table(self, name: str, endpoint: str | None = None, key: str = ACCOUNT_KEY) -> str:
        """An `[[integration]]` table for this store, or for a proxy before it."""
        endpoint = f"{endpoint}/{ACCOUNT}" if endpoint else self.endpoint
        return (
            f'[[integration]]\nid = "{name}"\nkind = "azure"\nendpoint = "{endpoint}"\n'
            f'account = "{ACCOUNT}"\naccess-key = "{key}"\n'
        )

    def bucket(self, name: str, public: bool = False) -> str:
        access = {"x-ms-blob-public-access": "container"} if public else {}
        self._put(f"/{name}", {"restype": "container"}, b"", access)
        return name

    def upload(self, bucket: str, folder: Path, prefix: str) -> str:
        for path in files(folder):
            key = urllib.parse.quote(f"{prefix}/{path.relative_to(folder).as_posix()}")
            self._put(f"/{bucket}/{key}", {}, path.read_bytes(), {"x-ms-blob-type": "BlockBlob"})
        return f"az://{bucket}/{prefix}/"

    def sas(self, permissions: str = "rl") -> str:
        """A shared access signature of the account."""
        fields = {"sv": "2019-12-12", "ss": "b", "srt": "sco", "sp": permissions}
        fields |= {"se": "2100-01-01T00:00:00Z", "spr": "https,http"}
        order = [ACCOUNT, fields["sp"], fields["ss"], fields["srt"], "", fields["se"], ""]
        fields["sig"] = sign("\n".join([*order, fields["spr"], fields["sv"], ""]))
        return urllib.parse.urlencode(fields)

    def _put(self, path: str, query: dict[str, str], body: bytes, headers: dict[str, str]) -> None:
        headers = headers | {
            "x-ms-date": email.utils.formatdate(usegmt=True),
            "x-ms-version": "2021-08-06",
        }
        named = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        length = str(len(body)) if body else ""
        resource = f"/{ACCOUNT}/{ACCOUNT}{path}"
        resource += "".join(f"\n{name}:{query[name]}" for name in sorted(query))
        kind = "application/octet-stream"
        text = f"PUT\n\n\n{length}\n\n{kind}\n\n\n\n\n\n\n{named}{resource}"
        headers |= {"Authorization": f"SharedKey {ACCOUNT}:{sign(text)}", "Content-Type": kind}
        url = f"{self.endpoint}{path}?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(url, body, headers, method="PUT")
        urllib.request.urlopen(request, timeout=30).close()


def sign(text: str) -> str:
    key = base64.b64decode(ACCOUNT_KEY)
    return base64.b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).decode()


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def service_account_key() -> str:
    """A service account's key as Google gives it, with an RSA key made for this run."""
    script = (
        "const {privateKey} = require('crypto').generateKeyPairSync('rsa', {modulusLength: 2048,"
        " privateKeyEncoding: {type: 'pkcs8', format: 'pem'},"
        " publicKeyEncoding: {type: 'spki', format: 'pem'}}); console.log(privateKey)"
    )
    key = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True).stdout
    return json.dumps(
        {
            "type": "service_account",
            "client_email": "tests@crossbill.example",
            "private_key_id": "1",
            "private_key": key,
        }
    )

"""A real S3 server (SeaweedFS) for the tests that import from s3://, in its own virtual
environment.

`CROSSBILL_WEED` names its binary; without it, `.venvs/s3/bin/weed` is taken.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from harness import REPOSITORY, free_ports, wait_for

WEED = Path(os.environ.get("CROSSBILL_WEED", REPOSITORY / ".venvs" / "s3" / "bin" / "weed"))
KEY_ID, SECRET, REGION = "crossbill-test", "crossbill-test-secret", "us-east-1"
START_SECONDS_MAX = 90


class ObjectStore:
    """One SeaweedFS with an S3 gateway on free ports; without `keys` it serves everyone."""

    def __init__(self, folder: Path, keys: bool = True):
        ports = iter(range(first := free_ports(), first + 20))
        volume, s3 = folder / "volume", next(ports)
        volume.mkdir(parents=True)
        self.url = f"http://127.0.0.1:{s3}"
        self.log = folder / "weed.log"
        named = [
            "master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port",
            "filer.port.grpc", "s3.port.grpc", "s3.port.iceberg", "s3.port.lance",
        ]  # fmt: skip
        own = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [str(WEED), "server", f"-dir={volume}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
                + ["-filer", "-s3", f"-s3.port={s3}"]
                + [f"-{name}={next(ports)}" for name in named]
                + ["-master.volumeSizeLimitMB=64", "-volume.max=200"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | (own if keys else {}),
            )
        self.client = boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=KEY_ID,
            aws_secret_access_key=SECRET,
            config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    def server_flags(self) -> list[str]:
        """The flags that make a `crossbill serve` read from this store."""
        return [
            f"--s3-endpoint={self.url}",
            f"--s3-region={REGION}",
            f"--s3-access-key-id={KEY_ID}",
        ]

    def server_environment(self) -> dict[str, str]:
        return {"CROSSBILL_S3_SECRET_ACCESS_KEY": SECRET}

    def bucket(self, name: str) -> str:
        """Creates a bucket, once the gateway takes requests."""

        def created() -> bool:
            if self.process.poll() is not None:
                raise AssertionError(f"the S3 server ended:\n{self.log.read_text()[-2000:]}")
            try:
                self.client.create_bucket(Bucket=name)
                self.client.put_object(Bucket=name, Key="_ready", Body=b"")
                return True
            except (BotoCoreError, ClientError):
                return False

        wait_for(created, START_SECONDS_MAX, f"bucket {name}", pause_seconds=0.2)
        return name

    def upload(self, bucket: str, folder: Path, prefix: str) -> str:
        """Uploads a folder and returns its URI."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                key = f"{prefix}/{path.relative_to(folder).as_posix()}"
                self.client.upload_file(str(path), bucket, key)
        return f"s3://{bucket}/{prefix}/"

    def close(self) -> None:
        # It takes half a minute to end by itself; the folder is thrown away anyway.
        self.process.kill()
        self.process.wait()

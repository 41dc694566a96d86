"""The image: built by buildah from the Dockerfile's last stage, with the binary in the first one's
place, and run."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from conftest import REPOSITORY, run, tool
from harness import clean_environment, free_ports, request, wait_for

DOCKERFILE = REPOSITORY / "deploy/docker/Dockerfile"


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> list[str]:
    """buildah, keeping its images in a folder of the tests."""
    root = tmp_path_factory.mktemp("buildah")
    words = [tool("buildah"), "--storage-driver", "vfs"]
    return [*words, "--root", str(root / "root"), "--runroot", str(root / "run")]


@pytest.fixture(scope="module")
def buildah(store):
    yield lambda *arguments: run(*store, *arguments)
    run(*store, "rm", "--all")
    run(*store, "rmi", "--all", "--force")


@pytest.fixture(scope="module")
def image(buildah, binary, tmp_path_factory):
    context = tmp_path_factory.mktemp("context")
    run(REPOSITORY / "deploy/docker/context", binary, context)
    # The tests' binary is not static: it gets its libraries, which the shipped one needs not.
    for library in libraries(binary):
        target = context / "image/root" / library.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(library.read_bytes())
        target.chmod(0o755)
    buildah(
        "build", "--isolation", "chroot", "--build-context", f"build={context}",
        "--file", DOCKERFILE, "--tag", "crossbill", REPOSITORY,
    )  # fmt: skip
    return "crossbill"


def libraries(binary: Path) -> list[Path]:
    shown = run("ldd", binary, code=None).stdout
    return [
        Path(word) for line in shown.splitlines() for word in line.split() if word.startswith("/")
    ]


def test_the_linter_has_nothing_to_say():
    run(tool("hadolint"), DOCKERFILE)


def test_what_it_is(buildah, image):
    config = json.loads(buildah("inspect", "--type", "image", image).stdout)["OCIv1"]["config"]
    assert config["User"] == "65532:65532"
    assert (config["Entrypoint"], config["Cmd"]) == (["/usr/bin/crossbill"], ["serve"])
    assert config["Volumes"] == {"/data": {}}


def test_it_holds_what_it_needs_and_no_more(buildah, image, binary):
    name = buildah("from", image).stdout.strip()
    root = Path(buildah("mount", name).stdout.strip())
    there = {"/" + str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}
    ours = {
        "/usr/bin/crossbill",
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/passwd",
        "/etc/group",
        "/usr/share/doc/crossbill/LICENSE",
    }
    assert there - {str(library) for library in libraries(binary)} == ours
    owner = (root / "data").stat()
    assert (owner.st_uid, owner.st_gid) == (65532, 65532)


def test_it_serves_as_a_user_without_rights(store, buildah, image):
    name = buildah("from", image).stdout.strip()
    port = free_ports()
    served = subprocess.Popen(
        serve_command(store, name, port), env=clean_environment(), stderr=subprocess.PIPE
    )
    url, key = f"http://127.0.0.1:{port}", {"Api-Key": "in-the-image"}
    try:
        wait_for(lambda: ready(url), 60, "answer from the image")
        spec = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
        made = {"name": "a", "dimension": 2, "metric": "cosine", "spec": spec}
        request(f"{url}/indexes", made, headers=key)
        vectors = [{"id": "x", "values": [1, 0]}]
        request(f"{url}/data/a/vectors/upsert", {"vectors": vectors}, headers=key)
        found = request(f"{url}/data/a/query", {"vector": [1, 0], "topK": 1}, headers=key)
        assert found["matches"][0]["id"] == "x"
        (process,) = processes(port)
        status = (process / "status").read_text()
        assert "Uid:\t65532\t65532" in status
    finally:
        for process in processes(port):
            subprocess.run(["kill", "-TERM", process.name], check=False)
        assert served.wait(60) == 0, served.stderr.read()


def serve_command(store: list[str], name: str, port: int) -> list[str]:
    words = [*store, "run", "--isolation", "chroot", "--user", "65532:65532"]
    words += ["--env", "CROSSBILL_API_KEY=in-the-image", name, "/usr/bin/crossbill", "serve"]
    words += ["--listen", f"127.0.0.1:{port}", "--index-port-first", str(port + 1)]
    return [*words, "--data", "/data"]


def processes(port: int) -> list[Path]:
    """The servers themselves, by what they listen on."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"/crossbill") and f"127.0.0.1:{port}".encode() in words:
            found.append(process)
    return found


def ready(url: str) -> bool:
    try:
        return request(f"{url}/ready") is not None
    except OSError:
        return False

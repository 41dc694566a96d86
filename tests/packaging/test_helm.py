"""The chart: helm's own lint, what Kubernetes' schemas say of what it renders, and whether the
real server takes the settings and has the paths."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest
import yaml
from conftest import REPOSITORY, run
from kubernetes_validate import validate

CHART = REPOSITORY / "deploy/helm/crossbill"
# The oldest that Chart.yaml takes, and the newest that the schemas know.
VERSIONS = ["1.25", "1.37"]
DIGEST = "sha256:" + "0" * 64
FULL = {
    "image": {"digest": DIGEST},
    "settings": {
        "s3-region": "eu-central-1",
        "memory-limit": "2GiB",
        "import-files-max": 1000000,
        "resident-vectors": 50,
        "allow-import-dir": ["/import", "/more"],
        "limits": {"top-k": 1000},
        "integration": [{"id": "archive", "kind": "s3", "region": "us-east-1"}],
    },
    "apiKey": 'a key: with "signs"',
    "tls": {"secretName": "certificate"},
    "publicAddress": "db.example.com",
    "service": {"type": "LoadBalancer", "indexPorts": 3, "annotations": {"a": "b"}},
    "envFrom": [{"secretRef": {"name": "lake"}}],
    "extraVolumes": [{"name": "import", "persistentVolumeClaim": {"claimName": "e"}}],
    "extraVolumeMounts": [{"name": "import", "mountPath": "/import", "readOnly": True}],
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "nodeSelector": {"disk": "nvme"},
    "priorityClassName": "high",
}
BARE = {
    "existingSecret": "mine",
    "persistence": {"enabled": False},
    "serviceAccount": {"create": False},
    "service": {"indexPorts": 0},
}


@pytest.fixture
def render(helm, tmp_path):
    def render(values: dict | None = None) -> list[dict]:
        file = tmp_path / "values.yaml"
        file.write_text(yaml.safe_dump(values or {}))
        shown = helm("template", "demo", CHART, "--namespace", "n", "--values", file).stdout
        return [document for document in yaml.safe_load_all(shown) if document]

    return render


def of(documents: list[dict], kind: str) -> dict:
    return next(document for document in documents if document["kind"] == kind)


@pytest.mark.parametrize("values", [{}, FULL, BARE], ids=["default", "full", "bare"])
def test_it_is_linted_and_kubernetes_takes_it(helm, render, tmp_path, values):
    file = tmp_path / "lint.yaml"
    file.write_text(yaml.safe_dump(values))
    helm("lint", "--strict", CHART, "--values", file)
    documents = render(values)
    assert len(documents) >= 4
    for version in VERSIONS:
        for document in documents:
            validate(document, version, strict=True)


def test_pods_run_as_nobody_and_write_nothing_but_their_volume(render):
    pod = of(render(), "StatefulSet")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    writable = [one["name"] for one in container["volumeMounts"] if not one.get("readOnly")]
    assert writable == ["data"]
    image = (REPOSITORY / "deploy/docker/Dockerfile").read_text()
    assert f"USER {pod['securityContext']['runAsUser']}:" in image


def test_probes_ask_what_the_server_has_and_ports_agree(render):
    documents = render(FULL)
    (container,) = of(documents, "StatefulSet")["spec"]["template"]["spec"]["containers"]
    routes = (REPOSITORY / "crates/server/src/routes.rs").read_text()
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container[probe]["httpGet"]
        assert f'open(GET, "{asked["path"]}"' in routes and asked["scheme"] == "HTTPS"
    environment = {one["name"]: one.get("value") for one in container["env"]}
    service = of(documents, "Service")["spec"]
    ports = [port["port"] for port in service["ports"]]
    assert ports == [5080, 5081, 5082, 5083]
    assert environment["CROSSBILL_LISTEN"] == "0.0.0.0:5080"
    assert environment["CROSSBILL_INDEX_PORT_FIRST"] == "5081"
    assert container["image"].endswith("@" + DIGEST)


def test_every_variable_is_one_that_the_server_reads(render, binary):
    (container,) = of(render(FULL), "StatefulSet")["spec"]["template"]["spec"]["containers"]
    known = set(
        re.findall(r"\[env: (CROSSBILL_[A-Z0-9_]+)\]", run(binary, "serve", "--help").stdout)
    )
    assert {one["name"] for one in container["env"]} <= known
    dockerfile = (REPOSITORY / "deploy/docker/Dockerfile").read_text()
    assert set(re.findall(r"(CROSSBILL_[A-Z_]+)=", dockerfile)) <= known


def test_the_server_takes_the_settings(render, binary, tmp_path):
    file = tmp_path / "crossbill.toml"
    file.write_text(of(render(FULL), "ConfigMap")["data"]["crossbill.toml"])
    shown = json.loads(run(binary, "serve", "--config", file, "--print-settings").stdout)
    taken = {name: entry["value"] for name, entry in shown.items() if entry["source"] == "file"}
    assert taken["memory-limit"] == "2GiB" and "/more" in taken["allow-import-dir"]
    assert taken["import-files-max"] == "1000000"
    assert set(taken) >= set(FULL["settings"]) - {"integration", "limits"}
    file.write_text(of(render(), "ConfigMap")["data"]["crossbill.toml"])
    run(binary, "serve", "--config", file, "--print-settings")


def test_keys_are_given_made_or_taken_from_elsewhere(render):
    given = base64.b64decode(of(render(FULL), "Secret")["data"]["keys"])
    assert given.decode() == FULL["apiKey"]
    assert len(base64.b64decode(of(render(), "Secret")["data"]["keys"])) == 40
    bare = render(BARE)
    assert not [document for document in bare if document["kind"] == "Secret"]
    volumes = of(bare, "StatefulSet")["spec"]["template"]["spec"]["volumes"]
    assert {"secretName": "mine", "defaultMode": 0o440} in [one.get("secret") for one in volumes]


@pytest.mark.parametrize(
    "wrong",
    [
        "replicas=2",
        "settings.listen=1",
        "settings.api-key=x",
        "service.port=80",
        "persistence.size=big",
        "image.digest=latest",
        "service.type=ExternalName",
    ],
)
def test_the_schema_refuses(helm, wrong):
    ended = helm("template", "demo", CHART, "--set", wrong, code=None)
    assert ended.returncode != 0 and "don't meet the specifications" in ended.stderr


def test_notes_say_how_to_get_in(helm):
    shown = helm("install", "demo", CHART, "--dry-run=client", "--namespace", "n", code=None)
    text = shown.stdout
    assert shown.returncode == 0, shown.stderr
    assert "get secret demo-crossbill-keys" in text
    assert "port-forward service/demo-crossbill 5080 5081" in text


def test_chart_and_program_have_one_version():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = re.search(r'^version = "(.*)"', Path("Cargo.toml").read_text(), re.M)[1]
    assert chart["version"] == chart["appVersion"] == version

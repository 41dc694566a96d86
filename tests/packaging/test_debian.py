"""The Debian package: the same bytes twice, clean, and what is in it works."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from pathlib import Path

import pytest

from conftest import REPOSITORY, build_package, run, tool


@pytest.fixture(scope="module")
def tree(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    run("dpkg-deb", "--raw-extract", package, folder)
    return folder


def test_the_same_binary_makes_the_same_bytes(binary, package, tmp_path):
    again = build_package(binary, tmp_path / "elsewhere")
    assert again.read_bytes() == package.read_bytes()


def test_lintian_has_nothing_to_say(package):
    # The tests' package is not compressed (conftest.py); the shipped one is.
    apart = "uses-no-compression-for-control-tarball,uses-no-compression-for-data-tarball"
    strict = ["--allow-root", "--fail-on", "error,warning", "--suppress-tags", apart]
    ended = run(tool("lintian"), *strict, package, code=None)
    said = [line for line in ended.stdout.splitlines() if line[:2] in ("E:", "W:")]
    assert not said and ended.returncode == 0, ended.stdout + ended.stderr


def test_what_it_is(package):
    version = re.search(r'^version = "(.*)"', Path("Cargo.toml").read_text(), re.M)[1]
    field = lambda name: run("dpkg-deb", "--field", package, name).stdout.strip()  # noqa: E731
    assert (field("Package"), field("Version")) == ("crossbill", version)
    assert field("Architecture") == run("dpkg", "--print-architecture").stdout.strip()
    owners = {
        line.split()[1] for line in run("dpkg-deb", "--contents", package).stdout.splitlines()
    }
    assert owners == {"root/root"}


def test_checksums_cover_every_file(tree):
    run("md5sum", "--check", "--strict", "--quiet", "DEBIAN/md5sums", cwd=tree)
    listed = {line.split("  ")[1] for line in (tree / "DEBIAN/md5sums").read_text().splitlines()}
    there = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()}
    assert listed == {path for path in there if not path.startswith("DEBIAN/")}


def test_the_binary_in_it_runs(tree):
    assert run(tree / "usr/bin/crossbill", "--version").stdout.startswith("crossbill ")


def test_its_scripts_are_shell(tree):
    for script in ("postinst", "prerm", "postrm"):
        run("sh", "-n", tree / "DEBIAN" / script)
    for file in ("bash-completion/completions/crossbill",):
        run("bash", "-n", tree / "usr/share" / file)


def test_the_user_is_made(tree, tmp_path):
    (tmp_path / "etc").mkdir()
    for _ in range(2):
        run(
            tool("systemd-sysusers"),
            f"--root={tmp_path}",
            tree / "usr/lib/sysusers.d/crossbill.conf",
        )
    (user,) = (tmp_path / "etc/passwd").read_text().splitlines()
    name, _, uid, _, _, home, shell = user.split(":")
    assert (name, home) == ("crossbill", "/var/lib/crossbill") and int(uid) < 1000
    assert shell.endswith("nologin")


def settings(binary: Path, file: Path) -> dict:
    shown = run(binary, "serve", "--config", file, "--print-settings").stdout
    return {
        name: entry["value"]
        for name, entry in json.loads(shown).items()
        if entry["source"] == "file"
    }


def test_the_settings_are_settings_and_so_are_those_that_are_commented_out(tree, binary, tmp_path):
    assert (tree / "DEBIAN/conffiles").read_text() == "/etc/crossbill/crossbill.toml\n"
    file = tree / "etc/crossbill/crossbill.toml"
    assert settings(binary, file) == {
        "listen": "127.0.0.1:5080",
        "data": "/var/lib/crossbill/data",
    }
    commented = re.findall(r'^# ([a-z-]+ = ["\[].*)$', file.read_text(), re.M)
    assert len(commented) >= 6
    all_of_them = tmp_path / "all.toml"
    all_of_them.write_text("\n".join(commented))
    assert len(settings(binary, all_of_them)) == len(commented)


def test_the_lines_of_the_documents_that_open_it_to_others_do(tree, binary, tmp_path):
    """docs/packaging.md, run on a copy of the settings, without systemd."""
    page = (REPOSITORY / "docs/packaging.md").read_text()
    (block,) = re.findall(r"^```sh not-run=root\n(\(umask.*?)^```$", page, re.M | re.S)
    script = block.replace("/etc/crossbill", "etc").replace("chgrp crossbill", "chgrp root")
    # In the expression of sed the path that is written stays the real one.
    script = script.replace("systemctl restart crossbill", "true")
    (tmp_path / "etc").mkdir()
    file = tmp_path / "etc/crossbill.toml"
    file.write_text((tree / "etc/crossbill/crossbill.toml").read_text())
    run("sh", "-euc", script, cwd=tmp_path)
    taken = settings(binary, file)
    assert taken["listen"] == "0.0.0.0:5080"
    assert taken["api-key-file"] == "/etc/crossbill/keys"
    keys = tmp_path / "etc/keys"
    assert (
        re.fullmatch(r"[0-9a-f]{64}\n", keys.read_text()) and keys.stat().st_mode & 0o777 == 0o640
    )


def test_the_manual_names_every_command(tree, binary):
    manual = gzip.decompress((tree / "usr/share/man/man1/crossbill.1.gz").read_bytes()).decode()
    # The help and the man page list the commands in the same order.
    listed = re.search(r"^Commands:\n(.*?)\n\n", run(binary, "--help").stdout, re.M | re.S)[1]
    commands = re.findall(r"^  ([a-z]+) ", listed, re.M)
    assert re.findall(r"^\.TP\n\.B ([a-z]+)$", manual, re.M) == commands


def test_a_missing_binary_is_named(tmp_path):
    ended = run("deploy/debian/build", "--binary", tmp_path / "none", code=1)
    assert "no binary" in ended.stderr
    assert subprocess.run(["deploy/debian/build", "--what"], capture_output=True).returncode == 2

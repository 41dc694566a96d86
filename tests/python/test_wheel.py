"""The wheel: one for every Python, typed, with its metadata, its documents' code and its example."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import crossbill
import pytest
from harness import REPOSITORY

DOCUMENTS = [REPOSITORY / "docs" / "python.md", REPOSITORY / "crates" / "python" / "README.md"]


def test_one_wheel_serves_every_python():
    wheel = metadata.distribution("crossbill").read_text("WHEEL")
    tags = re.findall(r"^Tag: (.*)$", wheel, re.M)
    assert tags and all(tag.startswith("cp310-abi3-") for tag in tags), tags


def test_metadata():
    meta = metadata.metadata("crossbill")
    assert meta["Requires-Python"] == ">=3.10"
    assert meta["Version"] == crossbill.__version__
    assert meta.get_all("Requires-Dist") == ["urllib3>=2,<3", "tqdm>=4.66 ; extra == 'progress'"]
    assert "crossbill-data" in meta.get_payload()
    scripts = metadata.entry_points(group="console_scripts")
    assert scripts["crossbill"].value == "crossbill._command:main"
    assert (Path(crossbill.__file__).parent / "py.typed").exists()


def test_everything_public_is_documented():
    for name in crossbill.__all__:
        thing = getattr(crossbill, name)
        if isinstance(thing, type):
            assert thing.__doc__ and not thing.__doc__.startswith(f"{name}("), name
            for method, value in vars(thing).items():
                if callable(value) and not method.startswith("_"):
                    assert value.__doc__, f"{name}.{method}"


@pytest.mark.libraries
def test_types(tmp_path):
    pytest.importorskip("mypy")
    strict = [sys.executable, "-m", "mypy", "--strict", "--no-incremental"]
    example = str(REPOSITORY / "examples" / "embedded.py")
    for what in (["--python-version", "3.10", "-p", "crossbill"], [example]):
        ended = subprocess.run([*strict, *what], capture_output=True, text=True, cwd=tmp_path)
        assert ended.returncode == 0, ended.stdout + ended.stderr


def blocks(path: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", path.read_text(), re.M | re.S)


@pytest.mark.libraries
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_documents_code_runs(path: Path, tmp_path, server, monkeypatch):
    """Block after block, as one program, in a folder with what they read."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"id": ["p-1", "p-2"], "values": [[0.1, 0.2, 0.3], [0.3, 0.2, 0.1]]})
    (tmp_path / "embeddings").mkdir()
    frame.to_parquet(tmp_path / "embeddings" / "a.parquet")
    monkeypatch.chdir(tmp_path)
    program = "\n".join(blocks(path)).replace("http://127.0.0.1:5080", server.url)
    exec(compile(program, str(path), "exec"), {"__name__": "documents"})


@pytest.mark.libraries
def test_the_example_runs(tmp_path):
    ended = subprocess.run(
        [sys.executable, str(REPOSITORY / "examples" / "embedded.py"), str(tmp_path / "data")],
        capture_output=True,
        text=True,
        env=os.environ | {"TQDM_DISABLE": "1"},
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    assert "1,000 records" in ended.stdout and "nearest to word-7: word-7" in ended.stdout

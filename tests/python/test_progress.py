"""How far an import is: a bar of tqdm in a terminal and in a notebook, lines without tqdm."""

from __future__ import annotations

import builtins
import subprocess
import sys
from pathlib import Path
from typing import Any

import crossbill
import pytest
from conftest import records

pl = pytest.importorskip("polars")


def table(count: int = 300) -> Any:
    return pl.DataFrame([{"id": one["id"], "values": one["values"]} for one in records(count)])


def test_a_bar_where_tqdm_is(index, capfd):
    pytest.importorskip("tqdm")
    index.import_table(table())
    index.upsert(vectors=records(100), batch_size=30)
    said = capfd.readouterr()
    assert "Importing: 100%" in said.err and "300/300" in said.err
    assert "Upserting: 100%" in said.err and "100/100" in said.err
    assert said.out == ""


def test_lines_where_it_is_not(index, capfd, monkeypatch):
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("tqdm"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    index.import_table(table())
    assert capfd.readouterr().err == "Importing: 300 of 300 records\n"


def test_nothing_where_it_is_not_wanted(index, capfd):
    index.import_table(table(), show_progress=False)
    index.upsert(vectors=records(10), batch_size=3, show_progress=False)
    assert capfd.readouterr() == ("", "")


@pytest.mark.libraries
def test_rejects_stand_beside_the_bar(index, capfd):
    frame = pl.DataFrame({"id": ["a", None], "values": [[1.0] * 8, [2.0] * 8]})
    index.import_table(frame)
    assert "1 rejected" in capfd.readouterr().err


@pytest.mark.libraries
def test_a_widget_in_a_notebook(tmp_path: Path):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    cell = f"""
import crossbill, polars as pl
pc = crossbill.Pinecone(data={str(tmp_path / "data")!r})
pc.create_index("a", dimension=2)
frame = pl.DataFrame({{"id": [str(n) for n in range(500)], "values": [[float(n), 1.0] for n in range(500)]}})
done = pc.index("a").import_table(frame)
print(done.records_imported)
pc.close()
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    outputs = notebook.cells[0].outputs
    printed = "".join(one.text for one in outputs if one.output_type == "stream")
    assert printed == "500\n"
    shown = [one.data for one in outputs if one.output_type == "display_data"]
    assert ["application/vnd.jupyter.widget-view+json" in data for data in shown] == [True]
    widgets = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    bars = [one["state"] for one in widgets.values() if one["model_name"] == "FloatProgressModel"]
    assert [(bar["max"], bar["value"]) for bar in bars] == [(500, 500)]


def test_the_package_starts_without_what_it_does_not_need():
    program = "import sys, crossbill; print(*(m for m in ('tqdm', 'urllib3', 'pandas') if m in sys.modules))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.stdout == "\n"
    assert isinstance(crossbill.__version__, str)

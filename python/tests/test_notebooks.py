"""The notebooks of examples/notebooks, run as they are: by nbclient if it is there, else cell by cell."""

import importlib.util
import json
import os
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "notebooks"
PUBLISHED = Path(os.environ.get("LANNER_DATA", FOLDER / "../../../shared/data")) / "nasbench201"


def run(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    if all(importlib.util.find_spec(name) for name in ("nbclient", "nbformat", "ipykernel")):
        import nbclient
        import nbformat

        notebook = nbformat.read(path, as_version=4)
        nbclient.NotebookClient(notebook, timeout=600).execute()
        return [output for cell in notebook.cells for output in cell.get("outputs", [])]
    names = {"__name__": "__main__"}
    for cell in json.loads(path.read_text())["cells"]:
        if cell["cell_type"] == "code" and "LiveFigure" not in (source := "".join(cell["source"])):
            exec(compile(source, str(path), "exec"), names)
    return []


@pytest.mark.parametrize("name", ["own-networks", "few-shot-device", "published-table"])
def test_notebooks_run(name, monkeypatch):
    if name == "own-networks":
        pytest.importorskip("torch")
        pytest.importorskip("onnxscript")
    if name == "published-table" and not (PUBLISHED / "latency_help.csv").exists():
        pytest.skip("no published table: set LANNER_DATA")
    outputs = run(FOLDER / f"{name}.ipynb", monkeypatch)
    kinds = {kind for output in outputs for kind in output.get("data", {})}
    if outputs and name != "published-table":
        assert "image/svg+xml" in kinds or "text/html" in kinds

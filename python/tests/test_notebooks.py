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


@pytest.mark.parametrize("values", [[1e300, -1e300], [-1e308, 1e308], [5e-324, 0.0], [3.0], [7.0] * 4, [1e15, 1e15 + 1]])
def test_figures_have_a_place_for_any_values(values):
    study = lanner.create_study(lanner.space("s", x=lanner.Int(0, 20)), minimize="loss <&>", seed=1)
    told = iter(values)
    study.optimize(lambda _: next(told), n_trials=len(values))
    root = xml.etree.ElementTree.fromstring(study.svg())
    numbers = [float(v) for part in root.iter() for k, v in part.attrib.items() if k in ("x", "y", "cx", "cy")]
    assert numbers and all(-10 < v < 600 for v in numbers)
    assert "<&>" not in study._repr_html_()

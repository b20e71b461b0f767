"""examples/notebook.ipynb runs from top to bottom."""

import nbformat
from nbclient import NotebookClient

from support.examples import EXAMPLES, QUERIES


def test_the_notebook_runs(meesh, monkeypatch):
    monkeypatch.setenv("MEESH_URI", meesh.uri)
    monkeypatch.delenv("MPLBACKEND", raising=False)  # the kernel draws into the notebook
    notebook = nbformat.read(EXAMPLES / "notebook.ipynb", as_version=4)
    client = NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": EXAMPLES}})
    client.execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    kinds = {kind for output in outputs for kind in output.get("data", {})}
    assert "image/png" in kinds, "the chart was not drawn"
    text = "".join(str(output.get("data", "")) for output in outputs)
    assert "Inés Jurado" in text and len(QUERIES) == 3

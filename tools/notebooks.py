"""The example notebooks, run from first cell to last: `python -m tools.notebooks` writes their outputs again.

A test runs them and compares (`tests/tools/test_notebooks.py`).
"""

import os
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "examples"

SECONDS = 120
"""A cell's limit."""


def executed(path: Path) -> Any:
    """A notebook with the outputs that it gives now. Raises `nbclient.exceptions.CellExecutionError`.

    Its figures are shown in it, whatever matplotlib's backend is here. The kernel is spoken to through sockets of the
    file system, which no other user can open.
    """
    import nbformat
    from nbclient import NotebookClient
    from traitlets.config import Config

    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.metadata.clear()
    with tempfile.TemporaryDirectory() as sockets:
        NotebookClient(
            notebook,
            timeout=SECONDS,
            startup_timeout=SECONDS,
            record_timing=False,
            resources={"metadata": {"path": str(path.parent)}},
            config=Config({"KernelManager": {"transport": "ipc", "ip": f"{sockets}/kernel"}}),
        ).execute(env={name: value for name, value in os.environ.items() if name != "MPLBACKEND"})
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def main() -> None:
    """Run each notebook and write it with its outputs."""
    import nbformat

    for path in sorted(FOLDER.glob("*.ipynb")):
        nbformat.write(executed(path), path)
        print(path)


if __name__ == "__main__":
    main()

"""The example notebooks run, and show what they have recorded."""

import nbformat
import pytest

from tools.notebooks import FOLDER, executed

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def outputs(cell):
    """What each output of a cell shows: pictures by their kind alone, for fonts differ."""
    assert {output.output_type for output in cell.outputs} <= {"execute_result", "display_data"}  # nothing on stderr
    return [
        {kind: "" if "image/png" in output.data else text for kind, text in output.data.items()}
        for output in cell.outputs
    ]


def test_there_is_one():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_shows_what_it_has_recorded(path):
    recorded = nbformat.read(path, as_version=4)
    now = executed(path)
    for old, new in zip(recorded.cells, now.cells, strict=True):
        if old.cell_type == "code":
            assert outputs(new) == outputs(old), f"python -m tools.notebooks writes it again: {old.source}"
            assert len(new.outputs) == 1  # a figure is not shown twice
    assert sum("image/png" in o.data for c in now.cells if c.cell_type == "code" for o in c.outputs) == 2

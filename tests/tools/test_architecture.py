"""The rules of docs/architecture.md, held against every import of the code."""

import json
import re
import subprocess
import sys

import pytest

from tools.architecture import (
    PAGE,
    ROOT,
    Import,
    Room,
    between,
    circles,
    diagram,
    direct,
    imports,
    modules,
    outside,
    room_of,
    rooms,
)

KNOWN = modules()
ALL = list(imports(KNOWN))
LISTED = rooms()


def test_every_module_has_one_room():
    homeless = [name for name in KNOWN if name != "tune_at" and room_of(name, LISTED) is None]
    crowded = [name for name in KNOWN if sum(room.holds(name) for room in LISTED) > 1]
    assert (homeless, crowded) == ([], [])


def test_every_room_and_every_file_of_the_page_exists():
    for room in LISTED:
        assert len(set(room.paths)) == len(room.paths), room.name
        for path in room.paths:
            assert path in KNOWN, f"{room.name}: {path}"


def test_no_room_imports_upwards():
    order = [room.name for room in LISTED]
    upwards = [
        f"{here} is below {there}: {item}"
        for (here, there), items in between(LISTED, ALL).items()
        if order.index(here) > order.index(there)
        for item in items
    ]
    assert upwards == []


def test_there_is_no_circle_of_files():
    assert circles(ALL) == []


def test_ray_stays_in_one_folder():
    assert [
        str(item) for item in outside(KNOWN, "ray") if not item.module.startswith(("tune_at.tuning", "benchmarks"))
    ] == []


def test_only_the_command_line_imports_analysis():
    importers = {here for here, there in between(LISTED, ALL) if there == "analysis"}
    assert importers - {"tools"} == {"cli"}


@pytest.mark.parametrize("room", ["config", "store", "study", "analysis", "cli"])
def test_a_room_that_answers_at_once_loads_neither_torch_nor_ray(room):
    (paths,) = [r.paths for r in LISTED if r.name == room]
    names = [name for name in KNOWN if any(name == p or name.startswith(f"{p}.") for p in paths)]
    assert len(names) > 3
    code = (
        "import importlib, json, sys\n"
        "loaded = {}\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        "    loaded.setdefault(name, [m for m in ('torch', 'ray') if m in sys.modules])\n"
        "print(json.dumps({name: heavy for name, heavy in loaded.items() if heavy}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {}


@pytest.mark.parametrize("name", ["tune_at.tuning.launch", "tune_at.tuning.cluster.address"])
def test_what_is_asked_before_ray_starts_does_not_load_it(name):
    code = f"import {name}, sys; sys.exit('ray' in sys.modules or 'torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_the_picture_is_that_of_the_code():
    drawn = re.search(r"```mermaid\n(.*?)\n```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert drawn is not None
    assert drawn[1] == diagram(LISTED, between(LISTED, ALL)), "draw it again: python -m tools.architecture"


# The reading itself, on cases made by hand.


def test_imports_are_seen_wherever_they_stand(tmp_path):
    (tmp_path / "tune_at" / "a").mkdir(parents=True)
    (tmp_path / "tune_at" / "__init__.py").write_text("")
    (tmp_path / "tune_at" / "a" / "__init__.py").write_text("")
    (tmp_path / "run.py").write_text("import tune_at.a.one\n")
    (tmp_path / "tune_at" / "a" / "one.py").write_text("def f():\n    from tune_at.a import two\n    import ray.tune\n")
    (tmp_path / "tune_at" / "a" / "two.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from tune_at.a.one import f\n"
    )
    known = modules(tmp_path)
    seen = set(imports(known))
    assert Import("run", "tune_at.a.one", 1) in seen
    assert Import("tune_at.a.one", "tune_at.a.two", 2) in seen
    assert Import("tune_at.a.two", "tune_at.a.one", 3) in seen
    assert circles(list(seen)) == [["tune_at.a.one", "tune_at.a.two"]]
    assert [item.line for item in outside(known, "ray")] == [3]


def test_what_follows_from_other_arrows_is_not_drawn():
    assert direct({("a", "b"): 1, ("b", "c"): 1, ("a", "c"): 1, ("c", "d"): 1, ("a", "d"): 1}) == [
        ("a", "b"), ("b", "c"), ("c", "d"),
    ]  # fmt: skip


def test_a_room_is_a_folder_or_some_files():
    room = Room("ground", ("tune_at.errors", "tune_at.store"), "")
    assert room.holds("tune_at.errors")
    assert room.holds("tune_at.store.lock")
    assert not room.holds("tune_at.storeroom")

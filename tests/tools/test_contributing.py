"""CONTRIBUTING.md's lists, each held against its example: the files that know it, and the tests that run over it."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RECIPES = {
    title: body
    for title, body in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    if "Example:" in body
}


def example(body):
    return re.search(r"^Example: `(.+?)`$", body, re.MULTILINE)[1]


def steps(body):
    return re.findall(r"^\d+\. `(.+?)`", body, re.MULTILINE)


def covering(body):
    return re.findall(r"`(tests/.+?)`", re.search(r"^Run over it: (.*)$", body, re.MULTILINE)[1])


def knows(path, name):
    """Whether a module names a thing: as its own name, in a literal, in an import; prose does not count."""
    plain = name.replace("-", "_")
    words = {name, plain, f"load_{plain}"}
    if path.suffix != ".py":
        return path.stem in words
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prose = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    named = path.stem in words
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            # A registry's line: `name`, or `module:attribute`. A sentence in a message is prose, too.
            named |= " " not in node.value and bool(words & set(re.split(r"[.:/]", node.value)))
        elif isinstance(node, ast.ImportFrom):
            named |= bool(words & {*(node.module or "").split("."), *(alias.name for alias in node.names)})
        elif isinstance(node, ast.FunctionDef):
            named |= node.name in words
    return named


@pytest.mark.parametrize("title", RECIPES)
def test_the_list_is_where_the_example_stands(title):
    name, listed = example(RECIPES[title]), set(steps(RECIPES[title]))
    for path in listed:
        assert (ROOT / path).is_file(), path
    folders = ("tune_at", "analysis", "search_spaces")
    code = [p for folder in folders for p in (ROOT / folder).rglob("*") if p.suffix in (".py", ".yaml")]
    code = [p for p in code if p.parent != ROOT / "analysis/paper"]  # its names are the paper's: no more will come
    places = {str(path.relative_to(ROOT)) for path in code if knows(path, name)}
    # What a study's rule compares belongs to that study.
    places = {place for place in places if not place.startswith("analysis/findings/")}
    assert places == listed


def test_there_is_a_recipe_for_each_kind():
    kinds = ("objective", "attack", "model", "data set", "figure", "scheduler", "study", "command")
    assert [kind for kind in kinds if not any(title.endswith(f" {kind}") for title in RECIPES)] == []


@pytest.fixture(scope="module")
def cases():
    """The ids of all cases of the tests that the recipes name."""
    files = sorted({path for body in RECIPES.values() for path in covering(body)})
    options = ["--collect-only", "-q", "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib"]
    command = [sys.executable, "-m", "pytest", *options, *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout.splitlines()


@pytest.mark.parametrize("title", RECIPES)
def test_the_tests_run_over_the_example_by_themselves(title, cases):
    name, files = example(RECIPES[title]), covering(RECIPES[title])
    assert files
    for file in files:
        ids = [case for case in cases if case.startswith(f"{file}::")]
        assert any(re.search(rf"\[(.*-)?{re.escape(name)}(-.*)?\]$", case) for case in ids), f"{file}: {name}"


def test_what_knows_an_example_is_told_from_prose(tmp_path):
    module = tmp_path / "m.py"
    module.write_text('"""About sat."""\nX = "a sentence of sat"\n')
    assert not knows(module, "sat")
    module.write_text('NAMES = ("pgd_at", "sat")\n')
    assert knows(module, "sat")
    module.write_text("from tune_at.objectives.sat import SATObjective\n")
    assert knows(module, "sat")

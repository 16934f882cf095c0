"""Each block of commands on a page is run, or says that it is not; every command in one is one that there is."""

import ast
import contextlib
import importlib.util
import re
import shutil

import pytest
from blocks import MARK, PAGES, ROOT, all_blocks, blocks_of, ours
from completed import complete

from tests.support.blocks import Block
from tune_at.cli.main import build_parser, main
from tune_at.study.file import SHIPPED, read_study
from tune_at.study.study import Study
from tune_at.study.sweep import Sweep

BLOCKS = all_blocks()
SHELL = [block for block in BLOCKS if block.kind == "shell"]
PYTHON = [block for block in BLOCKS if block.kind == "python"]
STUDIES = [block for block in BLOCKS if block.kind == "yaml" and re.search("^title:", block.text, re.MULTILINE)]
V1 = ROOT / "tests" / "stores" / "v1"

RECORDED = {
    "asha": "asha-finished", "search": "asha-finished", "front": "optuna-finished", "DIR": "pbt-finished",
    "first": "noise.yaml",
}  # fmt: skip
"""Which recorded sweep stands for one that a page names, or of which of its studies one is made; `grid-finished` stands
for the others."""


def recorded(text):
    """The recorded sweep that stands for a sweep of this name, `runs/NAME`."""
    parent, _, name = text.partition("/")
    return RECORDED.get(name, RECORDED.get(parent, "grid-finished"))


def _standing(text):
    return text if recorded(text).endswith(".yaml") else recorded(text)


READING = ("list", "show", "status", "query", "report", "doctor")


def reads(arguments):
    """Whether a command trains nothing, fetches nothing, and answers from what is there."""
    return arguments[:1] == ["--help"] or arguments[0] in READING or {"--help", "--dry-run"} & set(arguments)


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_every_command_is_one_that_there_is(block):
    commands = block.commands()
    assert commands
    for words in commands:
        if (arguments := ours(words)) is not None:
            with contextlib.suppress(SystemExit):  # --help; a mistake raises UserError
                parsed = build_parser().parse_args(arguments)
                study = getattr(parsed, "study", None)
                if isinstance(study, str) and (SHIPPED / f"{study}.yaml").is_file() and parsed.preset:
                    assert parsed.preset in read_study(SHIPPED / f"{study}.yaml").presets, arguments
        elif words[0] == "make":
            targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
            assert words[1] in targets, words
        elif words[:2] == ["python", "-m"]:
            assert importlib.util.find_spec(words[2]), words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_options_of_a_command_within_a_line_are_its_own(page):
    parsers = next(action for action in build_parser()._actions if action.dest == "command").choices
    for name, rest in re.findall(r"`python run\.py ([a-z]+)([^`]*)`", page.read_text(encoding="utf-8")):
        options = {f"--{option}" for option in re.findall(r"--(?:\[no-\])?([a-z][a-z-]*)", rest)}
        assert options <= {text for action in parsers[name]._actions for text in action.option_strings}, (name, rest)


@pytest.mark.parametrize("block", [b for b in SHELL if not b.mark], ids=str)
def test_a_block_without_a_mark_only_reads(block):
    trains = [words for words in block.commands() if (arguments := ours(words)) is None or not reads(arguments)]
    assert trains == [], "write <!-- not run: why --> (or partly run) above the block"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the studies that the pages write, and the recorded sweeps, also as the pages name them."""
    folder = tmp_path_factory.mktemp("pages")
    for block in STUDIES:
        if name := re.match(r"# (\w+\.yaml)\n", block.text):
            (folder / name[1]).write_text(block.text)
    named = {match for block in BLOCKS for match in re.findall(r"\b(runs|DIR)/(\w+)", block.text)}
    for parent, name in named:
        sweep = folder / recorded(f"{parent}/{name}")
        if sweep.suffix == ".yaml":
            made = Sweep.plan(Study.resolve(str(sweep)), str(folder / "made"), name)
            made.create()
            complete(made)
            sweep = made.folder.place
        elif not sweep.exists():
            shutil.copytree(V1 / sweep.name, sweep, ignore=shutil.ignore_patterns("checkpoints"))
        (folder / parent).mkdir(exist_ok=True)
        (folder / parent / name).symlink_to(sweep)
    return folder


READ = {
    tuple(re.sub(r"\b(runs|DIR)/\w+", lambda sweep: _standing(sweep[0]), word) for word in arguments): block
    for block in SHELL
    if block.mark != "not"
    for words in block.commands()
    if (arguments := ours(words)) and reads(arguments)
}
"""The commands that are run, each once on each recorded sweep, and a block in which it stands."""


@pytest.mark.parametrize("arguments", READ, ids=lambda arguments: f"{READ[arguments]}-{arguments[0]}")
def test_what_only_reads_is_run(arguments, place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    printed = capsys.readouterr()
    assert ended.value.code == 0, printed.err
    assert printed.out


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_what_a_program_imports_is_there(block):
    here = "\n".join(other.text for other in PYTHON if other.page == block.page)
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] in ("tune_at", "analysis"):
            module = importlib.import_module(node.module)
            missing = [alias.name for alias in node.names if not hasattr(module, alias.name)]
            assert [name for name in missing if f"class {name}(" not in here] == []


@pytest.mark.parametrize("page", sorted({block.page for block in PYTHON if not block.mark}))
def test_programs_without_a_mark_are_run(page, place, monkeypatch):
    monkeypatch.chdir(place)
    names = {"__name__": "page"}
    for block in PYTHON:
        if block.page == page and not block.mark:
            exec(compile(block.text, str(block), "exec"), names)


@pytest.mark.parametrize("block", STUDIES, ids=str)
def test_a_study_on_a_page_is_one(block, tmp_path):
    path = tmp_path / "page.yaml"
    path.write_text(block.text)
    for preset in ("", *read_study(path).presets):
        assert Study.resolve(str(path), preset).trials()


# The reading itself, on pages made by hand.

PAGE = """\
Words.

<!-- not run: it trains -->

    $ python run.py query runs/x 'SELECT a
        FROM b'   # why
     printed  b
    $ make test

More.

```python
import sys
```

    python run.py list
"""


def test_blocks_are_seen_with_their_marks():
    shell, program, last = blocks_of(PAGE, "p.md")
    assert (str(shell), shell.kind, shell.mark) == ("p.md:5", "shell", "not")
    assert (program.kind, program.mark, program.text) == ("python", "", "import sys")
    assert (last.kind, last.mark) == ("shell", "")


def test_commands_go_over_lines_and_what_is_printed_is_none():
    shell, _, last = blocks_of(PAGE)
    assert shell.commands() == [["python", "run.py", "query", "runs/x", "SELECT a\n    FROM b"], ["make", "test"]]
    assert last.commands() == [["python", "run.py", "list"]]
    assert ours(last.commands()[0]) == ["list"]
    assert ours(["A=1", "tune-at", "list"]) == ["list"]
    assert ours(["make", "test"]) is None


def test_a_mark_needs_a_reason_and_stands_right_above():
    assert MARK.match("<!-- not run: -->") is None
    (block,) = blocks_of("<!-- partly run: it trains -->\n\nWords.\n\n    $ make test\n")
    assert block.mark == ""


def test_a_command_that_rots_is_seen():
    with pytest.raises(Exception, match="unrecognized arguments: --figurs"):
        test_every_command_is_one_that_there_is(Block("p.md", 1, "", "$ python run.py report runs/x --figurs y"))
    with pytest.raises(AssertionError):
        test_every_command_is_one_that_there_is(Block("p.md", 1, "", "$ make tests"))
    with pytest.raises(AssertionError):
        test_every_command_is_one_that_there_is(Block("p.md", 1, "", "$ python run.py show noise_rate --preset labtop"))

import pytest
import yaml

from tune_at.errors import UserError
from tune_at.study.study import Study
from tune_at.study.yaml_text import dump, load


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("1E5", 1e5), ("1.", 1.0), (".5", 0.5), ("-1.5e+2", -150.0), ("1_000", 1000), ("010", 10),
        ("0x1F", 31), ("+3", 3), ("true", True), ("False", False), ("null", None), ("~", None), ("", None),
    ],
)  # fmt: skip
def test_scalars_of_yaml_1_2(text, value):
    loaded = load(f"a: {text}\n", "x")["a"]
    assert loaded == value
    assert type(loaded) is type(value)


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "1:30", "8/255", "1.2.3", "e5", "pgd_at", "-", "'1e-3'"])
def test_words_stay_words(word):
    assert load(f"a: [{word}]\n", "x") == {"a": [word.strip("'")]}


@pytest.mark.parametrize("value", ["1e-3", "yes", "010", "1:30", "true", "", "null", "1_0", 1e-5, 1e22, 0.1, 3, True])
def test_what_is_written_is_read_back_in_both_versions_of_yaml(value):
    for read in (lambda text: load(text, "x"), yaml.safe_load):
        again = read(dump({"a": value}))["a"]
        assert again == value
        assert type(again) is type(value)


def test_no_anchors_are_written():
    shared = {"eps": [1, 2]}
    text = dump({"a": shared, "b": shared})
    assert "&" not in text
    assert load(text, "x") == {"a": shared, "b": shared}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title: x\nbase:\n\tseeds: 1\n", "f.yaml, line 3: is not valid YAML: a tab indents this line; use spaces"),
        ("\ttitle: x\n", "f.yaml, line 1: is not valid YAML: a tab indents this line; use spaces"),
        ("title: 'x\nbase: {}\nseeds: [1]\n", "f.yaml, line 1: is not valid YAML: the quote that opens here is n"),
        ('a: 1\ntitle: "x\nseeds: [1]\n', "f.yaml, line 2: is not valid YAML: the quote that opens here is n"),
        (
            "title: x\nbase: {a: [1\nb: 2\n",
            "line 3: is not valid YAML: expected ',' or ']', but got ':'; the [ of li",
        ),
        ("a: 1\na: 2\n", "line 2: is not valid YAML: the key 'a' stands twice"),
    ],
)
def test_a_mistake_is_told_where_it_is(text, message):
    with pytest.raises(UserError) as caught:
        load(text, "f.yaml")
    assert message in str(caught.value)


def test_a_learning_rate_with_an_exponent_is_a_number_in_files_and_in_set(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text("title: x\nbase: {optim: {lr: 1e-3}}\naxes: {optim.weight_decay: [5e-4, 0]}\n")
    from tune_at.study.file import parse_overrides

    trials = Study.resolve(str(path), overrides=parse_overrides(["attack.eps=1e-2"])).trials()
    assert [(t.config.optim.lr, t.config.optim.weight_decay) for t in trials] == [(0.001, 0.0005), (0.001, 0.0)]
    assert trials[0].config.attack.eps == 0.01

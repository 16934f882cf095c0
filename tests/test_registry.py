import pytest

from tune_at.cli.commands.list import registries
from tune_at.errors import UserError, nearest
from tune_at.registry import Entry, Registry


def entry(name):
    return Entry(name, int, "math:sqrt", "Eq. 0", "nothing")


def test_a_name_can_stand_only_once():
    with pytest.raises(ValueError, match="'a' is registered twice"):
        Registry("thing", entry("a"), entry("b"), entry("a"))


def test_unknown_name_offers_its_neighbours():
    known = Registry("thing", entry("trades"), entry("standard"))
    with pytest.raises(UserError, match=r"'trade' is unknown; did you mean trades\?"):
        known["trade"]
    with pytest.raises(UserError, match="known: standard, trades"):
        known["zzz"]


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, known in registries().items() for name in known])
def test_every_entry_loads_and_says_where_it_comes_from(kind, name):
    item = registries()[kind][name]
    assert callable(item.load())
    assert item.source
    assert item.summary


def test_nearest_compares_the_last_part_of_a_path():
    assert nearest("noise_rate", ["data.noise_rate", "seed"]) == ["data.noise_rate"]
    assert nearest("train.lr", ["train", "train.compile", "optim.lr"]) == ["optim.lr"]
    assert nearest("objectiv.name", ["data.name", "model.name", "objective.name"]) == ["objective.name"]
    assert nearest("optim.lrr", ["optim", "optim.lr"]) == ["optim.lr"]
    assert nearest("ASHA", ["fifo", "asha"]) == ["asha"]

"""Shared cases. Tests run on the digits that come with scikit-learn; nothing is downloaded."""

import os
import signal
import threading

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
import torch
from search_study import SEARCH

from tune_at.config.objective import OBJECTIVES
from tune_at.config.trial import TrialConfig
from tune_at.study.study import Study
from tune_at.training.trainer import Trainer

LONG = ("tests/tuning/", "tests/stores/")
"""Where most tests wait for processes of their own."""


def pytest_collection_modifyitems(items):
    """Long tests first: where several processes share the modules, the short ones fill the gaps at the end."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


@pytest.fixture(autouse=True)
def interrupts_raise():
    """SIGINT raises in each test: a shell's background job ignores it, and Tune leaves a handler of its own behind."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def one_thread():
    """The number of threads decides the last bits: tests that compare bits start from the same one."""
    torch.set_num_threads(1)


@pytest.fixture
def tiny():
    """A function (objective, **sections) → TrialConfig that trains in a second."""

    def build(objective="pgd_at", **sections):
        tree = {
            "data": {"name": "digits", "subset": 64, "validation": 0.05},
            "model": {"name": "small_cnn", "width": 4},
            "objective": objective,
            "attack": {"eps": 0.1, "step": 0.05, "steps": 2},
            "optim": {"lr": 0.05},
            "train": {"epochs": 4, "batch_size": 24},
            "evaluation": {"steps": 2, "train_samples": 32},
        }
        for name, values in sections.items():
            tree[name] = {**tree.get(name, {}), **values} if isinstance(values, dict) else values
        return TrialConfig.parse(tree)

    return build


@pytest.fixture
def teachers(tmp_path):
    """A function config → checkpoints of the teachers that its objective needs, trained with the same sections."""

    def train(config):
        paths = {}
        for role, objective in config.objective.teachers().items():
            section = OBJECTIVES[objective].config()
            teacher = Trainer(config.model_copy(update={"objective": section}))
            list(teacher.epochs())
            paths[role] = tmp_path / f"{role}.pt"
            teacher.save(paths[role])
        return paths

    return train


@pytest.fixture
def resolve(tmp_path):
    def build(text=SEARCH, preset="", **overrides):
        path = tmp_path / "s.yaml"
        path.write_text(text)
        return Study.resolve(str(path), preset, overrides)

    return build

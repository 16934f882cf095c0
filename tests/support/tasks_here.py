"""`evaluate` and `probe` with tasks that are plain calls in this process: all of a command but Ray."""

import pytest

from tune_at.cli.main import main
from tune_at.tuning import tasks
from tune_at.tuning.task_worker import work


@pytest.fixture
def command(monkeypatch, capsys):
    """A function (words of a command line) → its exit code and the lines on its output and its standard error."""

    def run_here(given, *_):
        outcomes = {task.name: work(task.function, task.arguments, {}) for task in given}
        return {name: outcome.error for name, outcome in outcomes.items() if outcome.error}

    def run(*words):
        with pytest.raises(SystemExit) as ended:
            main(list(map(str, words)))
        captured = capsys.readouterr()
        return ended.value.code, captured.out.splitlines(), captured.err.splitlines()

    monkeypatch.setattr(tasks, "run_tasks", run_here)
    return run

"""Which trial of an earlier stage teaches a student."""

from collections import defaultdict
from typing import Any

from tune_at.config.trial import TrialConfig
from tune_at.errors import UserError
from tune_at.study.trials import Trial

SHARED = ("data", "model", "attack")
"""Sections that a student has in common with its teachers."""
PREFERRED = ("optim", "train")
"""Of several teachers those are taken that are trained like the student in these sections, in this order."""


class Teachers:
    """The trials of earlier stages, found by what a student asks of them without looking at each."""

    def __init__(self) -> None:
        self._trials: dict[Any, list[Trial]] = defaultdict(list)
        self._others: dict[Any, Trial] = {}

    def add(self, trial: Trial) -> None:
        """Make a trial known to the students of later stages."""
        config = trial.config
        self._others.setdefault((config.objective.name, config.seed), trial)
        for sections in ((), PREFERRED[:1], PREFERRED[1:], PREFERRED):
            self._trials[_key(config, config.objective.name, sections)].append(trial)

    def find(self, config: TrialConfig, objective: str) -> str:
        """The name of the trial that `objective` trained with the student's data, model, attack and seed.

        Raises `UserError` if there is none, or if it could be any of several.
        """
        alike = self._trials.get(_key(config, objective, ()), [])
        sections: tuple[str, ...] = ()
        for section in PREFERRED:
            if nearer := self._trials.get(_key(config, objective, (*sections, section))):
                alike, sections = nearer, (*sections, section)
        if len(alike) == 1:
            return alike[0].name
        where = f"{config.objective.name}'s teacher {objective!r}"
        if alike:
            shown = ", ".join(trial.name for trial in alike[:5]) + ", ..." * (len(alike) > 5)
            raise UserError(where, f"could be any of {shown}", "let the earlier stages have one such trial")
        if other := self._others.get((objective, config.seed)):
            raise UserError(
                where, f"{other.name} has other data, another model or another attack", "give both the same"
            )
        raise UserError(where, "is not a trial of an earlier stage", "write stages: {teachers: …, students: …}")


def _key(config: TrialConfig, objective: str, sections: tuple[str, ...]) -> tuple[Any, ...]:
    return (objective, config.seed, sections, *(getattr(config, s).model_dump_json() for s in (*SHARED, *sections)))

"""Which swept keys robust accuracy depends on, by Optuna's evaluators."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.figures.base import Figure, alone
from analysis.frames import Frames
from analysis.notes import noted, notes_of
from analysis.points import is_number, is_wide, varied
from analysis.style import DARK, LIGHT, legend_below, panels, styled
from tune_at.errors import UserError
from tune_at.study.comparison import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

FEWEST = 6
"""Points from which an importance is computed."""

EVALUATORS = ("fANOVA", "mean decrease of impurity")


def prepare_importance(frames: Frames) -> pd.DataFrame:
    """The importance of each swept key for robust accuracy on the selection split at the best epoch.

    Functional ANOVA (Hutter et al. 2014) and mean decrease of impurity, both over random forests and as Optuna computes
    them. Keys that only some points have are left out, as Optuna does, and noted.

    Returns:
        Columns key, evaluator, importance (in [0, 1]; an evaluator's sum to 1), points (their number). Sorted by
        fANOVA's, the most important first.

    Raises:
        UserError: fewer than six completed points, or none of their keys is common to all.
    """
    import optuna

    frame, keys = varied(frames, "importance")
    lacking = [key for key in keys if frame[key].isna().any()]
    keys = [key for key in keys if key not in lacking]
    if len(frame) < FEWEST:
        raise UserError("importance", f"{len(frame)} completed points are too few", f"wait for {FEWEST}")
    if not keys or frame["robust"].nunique() < 2:
        raise UserError("importance", "no key of all points differs, or no accuracy does", "sweep another key")
    distributions = {key: _distribution(frame[key]) for key in keys}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    for _, point in frame.iterrows():
        values = {key: _value(point[key], distributions[key]) for key in keys}
        study.add_trial(optuna.create_trial(params=values, distributions=distributions, value=float(point["robust"])))
    made = (
        optuna.importance.FanovaImportanceEvaluator(seed=0),
        optuna.importance.MeanDecreaseImpurityImportanceEvaluator(seed=0),
    )
    rows = []
    for name, evaluator in zip(EVALUATORS, made, strict=True):
        # Not `params=keys`: Optuna 4 would give the values of the sorted keys to the keys in the order given.
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
        rows += [{"key": key, "evaluator": name, "importance": found[key], "points": len(frame)} for key in keys]
    table = pd.DataFrame(rows)
    first = table[table["evaluator"] == EVALUATORS[0]].set_index("key")["importance"]
    order = table["key"].map(first)
    table = table.assign(order=-order).sort_values(["order", "key", "evaluator"], ignore_index=True)
    said = [f"not shown: {key}, which not every point has" for key in lacking]
    return noted(table.drop(columns="order"), *notes_of(frame), *said)


def _distribution(column: "pd.Series[Any]") -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if is_number(column):
        return FloatDistribution(float(column.min()), float(column.max()), log=is_wide(column))
    return CategoricalDistribution(sorted(column.map(plain).unique()))


def _value(value: Any, distribution: Any) -> Any:
    from optuna.distributions import CategoricalDistribution

    return plain(value) if isinstance(distribution, CategoricalDistribution) else float(value)


@styled
def draw_importance(frame: pd.DataFrame) -> "MatplotlibFigure":
    """Two bars a key, the most important on top."""
    keys = list(dict.fromkeys(frame["key"]))
    figure, (axis,) = panels(1, width=5.6, height=max(2.2, 0.55 * len(keys) + 1.4))
    for offset, (name, color) in enumerate(zip(EVALUATORS, (DARK, LIGHT), strict=True)):
        part = frame[frame["evaluator"] == name].set_index("key")["importance"].reindex(keys)
        places = [place + 0.38 * (offset - 0.5) for place in range(len(keys))]
        axis.barh(
            places, part, height=0.36, color=color, hatch="" if offset == 0 else "//", edgecolor="white", label=name
        )
    axis.set_yticks(range(len(keys)), keys)
    axis.invert_yaxis()
    axis.set(xlabel="importance for robust accuracy", xlim=(0, 1), title=f"{frame['points'].iloc[0]} points")
    axis.grid(visible=False, axis="y")
    axis.set_axisbelow(True)
    legend_below(figure, [axis])
    return figure


FIGURE = Figure(prepare_importance, draw_importance)

if __name__ == "__main__":
    alone(FIGURE, "importance")

"""A scheduler's decision in words."""

from tune_at.config.scheduler import is_loss
from tune_at.scheduling.board import Decision
from tune_at.wording import assignments, trial_label

VERBS = {"stop": "stopped", "exploit": "exploited another trial", "continue": "went on", "promote": "promoted"}


def decision_text(decision: Decision, scheduler: str, metric: str) -> str:
    """One sentence of Markdown: **stopped** after epoch 5: `val_robust_accuracy` 0.312 < 0.348 (asha, rung 5).

    Args:
        decision: about one trial, after one of its epochs.
        scheduler: who has decided.
        metric: by what.
    """
    text = f"**{VERBS.get(decision.action, decision.action)}** after epoch {decision.epoch}: `{metric}` "
    text += f"{decision.value:.4g}"
    if decision.cutoff is not None:
        worse = decision.value > decision.cutoff if is_loss(metric) else decision.value < decision.cutoff
        at_most, below = ("≤", ">") if is_loss(metric) else ("≥", "<")
        text += f" {below if worse else at_most} {decision.cutoff:.4g}"
    bracket = f", bracket {decision.bracket}" if decision.bracket else ""
    text += f" ({scheduler}, rung {decision.rung}{bracket})"
    if decision.source is not None:
        text += f"; goes on from the weights of `{trial_label(decision.source)}`"
        text += f" with {assignments(decision.changes)}" if decision.changes else ""
    elif decision.changes:
        text += f"; its point goes on with {assignments(decision.changes)}"
    return text

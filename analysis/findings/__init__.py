"""Whether what the paper found shows in a sweep: one rule a study, in code, each with its numbers."""

from analysis.findings.base import DOES_NOT, NO_RULE, SHOWS, UNKNOWN, Finding, Rule, in_each_setting, judge
from analysis.findings.memorization import (
    fails_in_every_setting,
    fits_in_every_setting,
    gap_grows,
    peaks_before_noise,
    random_labels,
    refined,
    small_balls,
)
from analysis.findings.overfitting import best_of_all, mitigates, overfits, overfits_in_large_balls, same_are_hard
from analysis.findings.probes import complexity_misleads, larger_ratio, less_stable, noise_overwhelms
from analysis.frames import NOTHING, Frames
from tune_at.store.status import Status
from tune_at.wording import counted

__all__ = ["DOES_NOT", "NO_RULE", "RULES", "SHOWS", "UNKNOWN", "Finding", "find", "rule_text"]

RULES: dict[str, Rule] = {
    "architectures": in_each_setting(random_labels, "objective", "data.noise_rate"),
    "architectures_and_norms": in_each_setting(mitigates, "objective"),
    "comparison": best_of_all,
    "complexity": complexity_misleads,
    "convergence": fails_in_every_setting,
    "datasets": in_each_setting(random_labels, "objective", "data.noise_rate"),
    "eps_overfitting": overfits_in_large_balls,
    "eps_random_labels": small_balls,
    "gradient_norms": larger_ratio,
    "gradient_stability": less_stable,
    "hard_examples": same_are_hard,
    "mitigation": in_each_setting(mitigates, "objective"),
    "noise_curves": peaks_before_noise,
    "noise_rate": gap_grows,
    "noisy_gradients": noise_overwhelms,
    "random_labels": random_labels,
    "refined_pgd_at": refined,
    "regularisers": fits_in_every_setting,
    "robust_overfitting": overfits,
    "threat_model": random_labels,
}
"""A rule by study. In a study that is not here nothing of the paper has to show."""


def rule_text(study: str) -> str:
    """What would have to show, in one sentence: the rule's docstring up to its first blank line; empty without one."""
    return " ".join((RULES[study].__doc__ or "").partition("\n\n")[0].split()) if study in RULES else ""


def find(study: str, frames: Frames, left: int = 0) -> Finding:
    """The finding of a study. It cannot be told before all trials have ended, or where trials or rows are missing.

    A study without a rule has no finding: its outcome is `NO_RULE`.

    Args:
        study: its name.
        frames: the sweep.
        left: how many trials are unfinished, those among them that have no row yet.
    """
    if frames.elsewhere:
        return Finding(UNKNOWN, "the curves come from elsewhere, and so does their question")
    rule = RULES.get(study)
    if rule is None:
        return Finding(NO_RULE, "nothing of the paper has to show in this study")
    if left:
        return Finding(UNKNOWN, f"{counted(left, 'trial')} {'is' if left == 1 else 'are'} left")
    if frames.epochs.empty:
        return Finding(UNKNOWN, NOTHING)
    unfinished = int((frames.trials["status"] != Status.COMPLETED).sum())
    if unfinished:
        verb = "is" if unfinished == 1 else "are"
        return Finding(UNKNOWN, f"{counted(unfinished, 'trial')} {verb} not completed")
    return judge(rule, frames)

"""Rules on what is memorised: random and noisy labels (Sec. 3, App. A)."""

from scipy.stats import kendalltau

from analysis.findings.base import (
    FITTED,
    NOT_FITTED,
    Finding,
    Missing,
    chosen,
    completed,
    final,
    measured,
    percents,
    told,
)
from analysis.frames import Frames, objective_label
from tune_at.study.comparison import plain
from tune_at.wording import counted

TRAINED = "train_natural_accuracy"


def random_labels(frames: Frames) -> Finding:
    """PGD-AT fits below 20% and TRADES above 90% of random labels (Fig. 2a b, A.1 to A.4)."""
    return _fails_and_fits(frames, "pgd_at", "trades")


def refined(frames: Frames) -> Finding:
    """PGD-AT fits below 20% and Eq. 6 above 90% of random labels (Fig. A.8)."""
    return _fails_and_fits(frames, "pgd_at", "mixed_pgd_at")


def _fails_and_fits(frames: Frames, failing: str, fitting: str) -> Finding:
    if set(completed(frames)["stage"]) == {"capacity"}:  # larger networks, which only the failing objective trains
        low = final(frames, TRAINED, objective__name=failing, data__noise_rate=1.0)
        return told(low < NOT_FITTED, f"of random labels {objective_label(failing)} fits {low:.1%}")
    low, high = (final(frames, TRAINED, objective__name=name, data__noise_rate=1.0) for name in (failing, fitting))
    numbers = f"of random labels {objective_label(failing)} fits {low:.1%}, {objective_label(fitting)} {high:.1%}"
    return told(low < NOT_FITTED and high > FITTED, numbers)


def fails_in_every_setting(frames: Frames) -> Finding:
    """Whatever is changed, training fits below 20% of random labels (App. A.2.1)."""
    trials = chosen(frames, data__noise_rate=1.0)
    last = measured(frames, trials, TRAINED).groupby("trial")[TRAINED].last()
    higher = [f"{trial} {last[trial]:.1%}" for trial in last.index if last[trial] >= NOT_FITTED]
    numbers = f"of random labels {percents(list(last))} are fitted in {counted(len(last), 'trial')}"
    return told(not higher, numbers + (f"; not low: {', '.join(higher)}" if higher else ""))


def fits_in_every_setting(frames: Frames) -> Finding:
    """Whatever regularises, TRADES fits above 90% of random labels (Tab. A.1)."""
    trials = chosen(frames, data__noise_rate=1.0)
    last = measured(frames, trials, TRAINED).groupby("trial")[TRAINED].last()
    stages = dict(zip(trials["trial"], trials.get("stage", trials["trial"]), strict=True))
    numbers = ", ".join(f"{stages[trial]} {last[trial]:.1%}" for trial in last.index)
    return told(bool(last.min() > FITTED), f"random labels fitted: {numbers}")


def small_balls(frames: Frames) -> Finding:
    """PGD-AT fits random labels in the smallest ball alone, TRADES in a large one, too (Fig. A.5, App. A.2.1).

    The ball of the stage `larger`, 32/255, is too large for either and does not count.
    """
    trials = chosen(frames, objective__name="pgd_at", data__noise_rate=1.0)
    trials = trials[trials["stage"] != "larger"]
    balls = sorted(trials["attack.eps"].unique())
    if len(balls) < 2:
        raise Missing("PGD-AT was trained in one ball only")
    fitted = [final(frames, TRAINED, objective__name="pgd_at", data__noise_rate=1.0, attack__eps=eps) for eps in balls]
    trades = final(frames, TRAINED, objective__name="trades", data__noise_rate=1.0, attack__eps=balls[-1])
    listed = ", ".join(f"{value:.1%} at eps {plain(eps)}" for eps, value in zip(balls, fitted, strict=True))
    shows = fitted[0] > FITTED and max(fitted[1:]) < NOT_FITTED and trades > FITTED
    return told(shows, f"of random labels PGD-AT fits {listed}; TRADES {trades:.1%} in the largest ball")


def gap_grows(frames: Frames) -> Finding:
    """The generalization gap grows with the noise rate for as long as training converges (Fig. 2c).

    Converged is a final natural training accuracy of at least a half. The gap, natural and robust, grows if Kendall's
    tau between it and the rate is at least 0.8 over three or more rates.
    """
    parts, shows = [], True
    for name in completed(frames)["objective.name"].unique():
        rates = sorted(chosen(frames, objective__name=name)["data.noise_rate"].unique())
        gaps: dict[str, list[float]] = {"natural": [], "robust": []}
        kept = []
        for rate in rates:
            where = {"objective__name": name, "data__noise_rate": rate}
            if final(frames, TRAINED, **where) >= 0.5:
                kept.append(rate)
                for kind, values in gaps.items():
                    at = [final(frames, f"{split}_{kind}_accuracy", **where) for split in ("train", "test")]
                    values.append(at[0] - at[1])
        if len(kept) < 3:
            raise Missing(
                f"{objective_label(name)} converged at {len(kept)} of {len(rates)} noise rates; three are needed"
            )
        taus = {kind: float(kendalltau(kept, values).statistic) for kind, values in gaps.items()}
        shows = shows and min(taus.values()) >= 0.8
        spans = [
            f"{kind} {100 * v[0]:.0f} to {100 * v[-1]:.0f} points, tau {taus[kind]:.2f}" for kind, v in gaps.items()
        ]
        parts.append(f"{objective_label(name)} up to {kept[-1]:.0%} noise: {', '.join(spans)}")
    return told(shows, "gap of " + "; of ".join(parts))


def peaks_before_noise(frames: Frames) -> Finding:
    """Natural test accuracy has its maximum before the noise is fitted; PGD-AT fails at 80% noise (Fig. A.6, A.7)."""
    trials = completed(frames)
    noisy = trials[trials["data.noise_rate"] > 0]
    if noisy.empty:
        raise Missing("no completed trial with noise")
    rows = measured(frames, noisy, "test_natural_accuracy").dropna(subset=[TRAINED])
    early, parts = True, []
    for trial, curve in rows.groupby("trial"):
        fitted = curve.loc[curve[TRAINED] > FITTED, "epoch"]
        if fitted.empty:
            continue
        best = curve["test_natural_accuracy"] == curve["test_natural_accuracy"].max()
        peak = int(curve.loc[best, "epoch"].iloc[0])
        early = early and peak < int(fitted.iloc[0])
        parts.append(f"{trial}: {peak}, {int(fitted.iloc[0])}")
    if not parts:
        raise Missing("no trial has fitted the noise")
    fails = final(frames, TRAINED, objective__name="pgd_at", data__noise_rate=noisy["data.noise_rate"].max())
    numbers = f"epochs of the best test accuracy and of the noise fitted: {'; '.join(parts)}"
    return told(early and fails < 0.5, f"{numbers}; PGD-AT fits {fails:.1%} with the most noise")

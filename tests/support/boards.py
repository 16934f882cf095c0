"""Boards in memory whose trials learn along random curves: policies without a store, and what they should decide."""

import random
from bisect import bisect_right

import numpy as np

from tune_at.config.scheduler import METRICS, is_loss
from tune_at.scheduling.board import Board
from tune_at.scheduling.curves import Recording
from tune_at.scheduling.policies import build_policy
from tune_at.store.status import Status
from tune_at.study.study import Study

GRID = """\
title: Curves
base: {data: {name: digits, subset: 64}, train: {epochs: 12, batch_size: 32}}
axes: %s
seeds: %s
scheduler: %s
"""
LRS = [0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.2, 0.3]
AXES = {
    "plain": f"{{optim.lr: {LRS}}}",
    "every second": f"{{optim.lr: {LRS}, evaluation.every: [2]}}",
    "mixed": f"{{optim.lr: {LRS[:4]}, evaluation.every: [1, 3, 4], train.epochs: [12, 7]}}",
    "balls": f"{{attack.eps: [0.1, 0.2], optim.lr: {LRS[:5]}}}",
}


def make_study(folder, scheduler, axes="plain", seeds="[0, 1]"):
    """`axes`: a key of `AXES`, or YAML."""
    path = folder / "curves.yaml"
    path.write_text(GRID % (AXES.get(axes, axes), seeds, scheduler))
    return Study.resolve(str(path))


def make_curves(trials, seed):
    """Of each trial: its metrics by epoch, coarse so that there are ties, and how it would end by itself.

    One in ten diverges, one in ten fails: after its last epoch here, in which nothing was measured.
    """
    rng, curves = random.Random(seed), {}
    for trial in trials:
        train, every = trial.config.train, trial.config.evaluation.every
        status = rng.choice([Status.COMPLETED] * 8 + [Status.DIVERGED, Status.FAILED])
        last = train.epochs if status is Status.COMPLETED else rng.randint(1, train.epochs)
        curve = {}
        for epoch in range(1, last + 1):
            evaluated = epoch % every == 0 or epoch == train.epochs
            if epoch == last and status is not Status.COMPLETED:
                evaluated = False
            values = {f"val_{m}": round(rng.random(), 1) for m in METRICS} if evaluated else {}
            curve[epoch] = values
        curves[trial.name] = curve, status
    return curves


def play(study, curves, at_once, order, decide_late=0.0):
    """The board after a sweep in which `at_once` trials run at a time, and `order` draws which comes next.

    decide_late: the probability that several results come in before anything is decided.
    """
    policy, board = build_policy(study), Board(study.size)
    board.add(study.trials())
    while not board.complete:
        # One that is held gives up its place.
        ready = [state for state in board.states if not state.ended and not policy.held(state)][:at_once]
        assert ready or policy.decide(board), "all are held"
        if ready:
            state = order.choice(ready)
            curve, status = curves[state.name]
            state.report(state.epoch + 1, curve[state.epoch + 1])
            if state.epoch == max(curve):
                state.status = status
        if order.random() >= decide_late:
            policy.decide(board)
    policy.decide(board)
    return policy, board


def decisions(board):
    """(trial's place, epoch) → (rung, bracket, value, cutoff, action)."""
    return {
        (state.index, epoch): (d.rung, d.bracket, d.value, d.cutoff, d.action)
        for state in board.states
        for epoch, d in state.decisions.items()
    }


def expected(study, curves, policy):
    """What ASHA and the median rule decide by their definitions, a trial at a time. `policy`: for rungs and groups."""
    config, sign = study.scheduler, -1 if is_loss(policy.metric) else 1
    made, earlier = {}, []
    for place, trial in enumerate(study.trials()):
        values = {e: sign * row[f"val_{policy.metric}"] for e, row in curves[trial.name][0].items() if row}
        epochs = sorted(values)
        score = {e: sum(values[x] for x in epochs[: i + 1][-config.smooth :]) for i, e in enumerate(epochs)}
        score = {e: score[e] / len(epochs[: i + 1][-config.smooth :]) for i, e in enumerate(epochs)}
        bracket, length = policy.bracket_at(place), trial.config.train.epochs
        rungs, passed = list(policy.ladder(bracket, length)), 0
        group = trial.config.attack.eps if policy.metric.startswith("robust") else None
        for i, epoch in enumerate(epochs):
            now = bisect_right(rungs, epoch)
            if now == passed:
                continue
            passed, rung, before = now, rungs[now - 1], []
            if config.name == "asha":
                judged = entered = score[epoch]
                before = [v for g, b, r, e, v in earlier if (g, b, r) == (group, bracket, rung) and e <= epoch]
                cutoff = float(np.percentile(before, (1 - 1 / config.eta) * 100)) if before else None
            else:
                judged = max(score[e] for e in epochs[: i + 1])
                entered = float(np.mean([score[e] for e in epochs[: i + 1] if e >= config.grace]))
                before = [v for g, b, r, e, v in earlier if (g, e) == (group, epoch)]
                cutoff = float(np.median(before)) if len(before) >= config.min_trials else None
            earlier.append((group, bracket, rung, epoch, entered))
            stop = cutoff is not None and judged < cutoff
            action = "completed" if epoch >= length else "stop" if stop else "continue"
            shown = None if cutoff is None else sign * cutoff
            made[place, epoch] = (rung, bracket, sign * judged, shown, action)
            if action == "stop":
                break
    return made


def recording(study, curves):
    """The same trials, each with its whole curve."""
    board = Board(study.size)
    for state in board.add(study.trials()):
        curve, status = curves[state.name]
        for epoch, row in curve.items():
            state.report(epoch, row)
        state.status = status
    keys = [repr(sorted(state.trial.swept.items())) for state in board.states]
    points = np.array([list(dict.fromkeys(keys)).index(key) for key in keys])
    return Recording(study, board.states, METRICS, points)

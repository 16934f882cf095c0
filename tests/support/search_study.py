"""A study that draws its points, for the tests of searches."""

SEARCH = """\
title: x
base: {data: {subset: 64}, train: {epochs: 9, batch_size: 32}}
seeds: [0, 3]
search:
  algorithm: random
  trials: 5
  space:
    objective.beta: {uniform: [1, 6]}
    optim.lr: {loguniform: [1e-3, 0.5]}
    attack.eps: {uniform: [1/255, 8/255]}
    model.width: {int: [4, 6]}
    objective: [trades]
scheduler: asha
"""

SPACE = ("objective.beta", "optim.lr", "attack.eps", "model.width", "objective")
PBT = {"name": "pbt", "every": 3, "mutations": {"optim.lr": {"uniform": [0.1, 1]}}}
ONLY_LR = dict.fromkeys([path for path in SPACE if path != "optim.lr"])

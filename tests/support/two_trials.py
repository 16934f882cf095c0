"""A study whose two trials take seconds."""

STUDY = """\
title: Two trials
base:
  data: {name: digits, subset: 100}
  model: {name: small_cnn, width: 4}
  attack: {eps: 0.1, step: 0.05, steps: 2}
  train: {epochs: 3, batch_size: 50}
  evaluation: {steps: 1, train_samples: 20}
axes: {objective: [pgd_at, standard]}
"""

"""Attacks: pure functions (model, x, y, spec, generator) → x_adv."""

"""Our PGD against that of torchattacks, where it is installed.

Its pin on requests does not go with our constraints: `pip install --no-deps torchattacks` to run this.
"""

import pytest
import torch

from tune_at.attacks.pgd import PGD, pgd

torchattacks = pytest.importorskip("torchattacks", reason="torchattacks is not installed")


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_success_is_the_same_within_noise(norm, trained):
    model, x, y = trained(360)
    model.eval()
    eps, step = (0.1, 0.025) if norm == "linf" else (0.8, 0.2)

    def accuracy(images):
        with torch.no_grad():
            return (model(images).argmax(1) == y).float().mean().item()

    kind = torchattacks.PGD if norm == "linf" else torchattacks.PGDL2
    found: dict[str, list[float]] = {"ours": [], "theirs": []}
    for seed in range(5):
        torch.manual_seed(seed)
        found["theirs"].append(accuracy(kind(model, eps=eps, alpha=step, steps=10)(x, y)))
        spec = PGD(eps, step, 10, norm=norm)
        found["ours"].append(accuracy(pgd(model, x, y, spec, torch.Generator().manual_seed(seed))))
    means = {name: sum(values) / 5 for name, values in found.items()}
    print(means)
    assert abs(means["ours"] - means["theirs"]) < 0.01
    assert 0.1 < means["ours"] < 0.95

import torch

from tune_at.attacks.losses import is_right
from tune_at.objectives.base import accuracy

NAN, INF = float("nan"), float("inf")


def test_a_prediction_is_right_if_the_labels_logit_is_the_largest_and_none_is_nan():
    logits = torch.tensor(
        [
            [2.0, 1.0, 0.0],
            [2.0, 1.0, 0.0],
            [NAN, NAN, NAN],
            [NAN, 1.0, 0.0],
            [5.0, NAN, 0.0],
            [0.0, NAN, 0.0],
            [0.0, -INF, 1.0],
        ]
    )
    y = torch.tensor([0, 1, 0, 0, 0, 1, 2])
    assert is_right(logits, y).tolist() == [True, False, False, False, False, False, True]
    assert accuracy(logits, y).item() == torch.tensor(2 / 7).item()
    assert not is_right(torch.full((3, 4), NAN), torch.tensor([0, 1, 3])).any()

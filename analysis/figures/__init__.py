"""The registry of figures: where each stands in the paper, and what it shows."""

from tune_at.registry import Entry, Registry

_ROOM = "analysis.figures"

FIGURES = Registry(
    "figure",
    *(
        Entry(name, object, f"{_ROOM}.{place}", paper, what)
        for name, place, paper, what in (
            (
                "memorization_curves", "memorization_curves:FIGURE", "Fig. 2a, 2b, A.1 to A.5, A.8",
                "training accuracy by epoch, true against random labels, a panel an objective",
            ),
            (
                "generalization_gap", "generalization_gap:FIGURE", "Fig. 2c",
                "natural and robust train - test gap against the noise rate, with spread over seeds",
            ),
            (
                "gradient_norms", "gradients:GRADIENT_NORMS", "Fig. 3a",
                "mean norm of the samples' gradients by epoch, a line a loss",
            ),
            (
                "gradient_ratio", "gradients:GRADIENT_RATIO", "Fig. 3b",
                "what the attack or KL adds to a batch's gradient, by iteration",
            ),
            (
                "gradient_stability", "gradients:GRADIENT_STABILITY", "Fig. 4a",
                "change of the gradients along a random direction of the weights",
            ),
            (
                "gradient_cosine", "gradients:GRADIENT_COSINE", "Fig. 4b",
                "cosine between the gradients of successive epochs",
            ),
            (
                "complexity", "complexity:FIGURE", "Fig. 5",
                "four complexity measures against the robust generalization gap",
            ),
            (
                "overfitting_curves", "overfitting_curves:FIGURE", "Fig. 6a",
                "training and test accuracy by epoch, best and final marked, a panel an objective",
            ),
            (
                "budget_curves", "budget_curves:FIGURE", "Fig. 6b, C.1",
                "robust test accuracy by epoch, a line an eps",
            ),
            (
                "hard_examples", "hard_examples:FIGURE", "Fig. 6c, C.2",
                "adversarial losses of pairs of trainings on the same images, with Kendall's tau",
            ),
            (
                "test_curves", "test_curves:FIGURE", "Fig. 7",
                "natural and robust test accuracy by epoch, a line a method, best and final marked",
            ),
            (
                "noise_curves", "noise_curves:FIGURE", "Fig. A.6, A.7",
                "training and test accuracy by epoch, a line a noise rate",
            ),
            (
                "group_gradients", "group_gradients:FIGURE", "Fig. A.9",
                "gradient norms of right and of wrong labels by epoch",
            ),
            (
                "gap_by_key", "generalization_gap:GAP_BY_KEY", "ours",
                "the generalization gap against any swept key",
            ),
            (
                "early_stopping", "early_stopping:FIGURE", "ours",
                "the scheduler's metric by epoch: what it stopped or let run, and PBT's exploits",
            ),
            (
                "replay", "replay:FIGURE", "ours",
                "early stopping replayed over whole curves: epochs saved, regret, and each rung's Kendall's tau",
            ),
            (
                "rungs", "rungs:FIGURE", "ours",
                "how rungs rank points: epochs of one long run against complete runs, and what ASHA picks by them",
            ),
            (
                "pareto_front", "pareto_front:FIGURE", "ours",
                "natural against robust accuracy of each trial, and those that no other beats in both",
            ),
            (
                "parallel_coordinates", "parallel_coordinates:FIGURE", "ours",
                "all swept keys and robust accuracy, a line a point",
            ),
            ("importance", "importance:FIGURE", "ours", "how much robust accuracy depends on each swept key"),
            ("slices", "slices:FIGURE", "ours", "robust accuracy against each swept key by itself"),
            ("training_cost", "training_cost:FIGURE", "ours", "training time against robust accuracy"),
        )
    ),
)  # fmt: skip

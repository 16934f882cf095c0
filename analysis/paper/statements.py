"""What the paper's text says in numbers, or so that it can be checked, of its figures and in its appendix."""

from analysis.paper.rows import Statement

CONVERGES, FAILS = "converges", "fails to converge"

# fmt: off
STATEMENTS: tuple[Statement, ...] = (
    Statement("true_labels_fitted", "Sec. 3.1, Fig. 2a, 2b",
              "both methods achieve almost 100% natural and robust training accuracies when trained on true labels",
              100, "almost"),
    Statement("pgd_at_random_labels", "Sec. 3.1, Fig. 2a", "PGD-AT on random labels fails to converge", None, FAILS),
    Statement("trades_random_labels", "Sec. 3.1, Fig. 2b", "TRADES on random labels still reaches nearly 100% training "
              "accuracies", 100, "nearly"),
    Statement("natural_before_robust", "Sec. 3.2, Fig. 2b", "in the first 25 epochs of TRADES on random labels natural "
              "accuracy starts to increase while robust accuracy does not", 25, "epochs"),
    Statement("gap_grows", "Sec. 3.1, Fig. 2c", "the gap grows steadily with the noise rate before the network fails "
              "to converge", None, "grows"),
    Statement("pgd_at_ratio_higher", "Sec. 3.2, Fig. 3b", "in the first 1000 iterations the ratio of PGD-AT is "
              "consistently higher than that of TRADES", 1000, "iterations"),
    Statement("kendall_tau_seeds", "Sec. 4.1, Fig. 6c", "Kendall's rank coefficient of the adversarial losses of all "
              "training samples between two networks of other seeds", 0.85),
    Statement("kendall_tau_architectures", "App. C.1, Fig. C.2", "the same between WRN-28-10 and ResNet-18", 0.78),
    Statement("te_difference", "Sec. 5", "differences between best and final test accuracies of our method are reduced "
              "to around 1%", 1, "around"),
    Statement("cifar100_random_labels", "App. A.1.1, Fig. A.1", "on CIFAR-100 PGD-AT fails to converge with random "
              "labels, TRADES can", None, "as on CIFAR-10"),
    Statement("svhn_random_labels", "App. A.1.1, Fig. A.2", "on SVHN likewise, although TRADES does not reach 100%",
              100, "below"),
    Statement("densenet_slower", "App. A.1.1, Fig. A.3", "likewise with DenseNet-121 and DLA, although TRADES may take "
              "more epochs with DenseNet-121", None, "as with WRN-28-10"),
    Statement("l2_random_labels", "App. A.1.1, Fig. A.4", "likewise in l2 with eps 1.0 and step 0.25", None,
              "as in l-inf"),
    Statement("trades_eps_16", "App. A.1.1, Fig. A.5", "with eps 16/255 TRADES on random labels can still converge",
              16 / 255, CONVERGES),
    Statement("both_eps_32", "App. A.1.1, A.2.3", "with eps 32/255 neither comes near 100% robust training accuracy on "
              "random labels, nor does AT on true labels", 32 / 255, FAILS),
    Statement("pgd_at_noise_80", "App. A.1.2, A.2.3, Fig. A.6", "under 80% noise rate PGD-AT fails to converge", 80,
              FAILS),
    Statement("test_before_noise", "App. A.1.2, Fig. A.6, A.7", "test accuracy is highest before the noisy training "
              "set is fitted", None, "peaks early"),
    Statement("larger_networks", "App. A.2.1", "WRN-34-20 and WRN-70-16 do not let PGD-AT converge on random labels",
              None, FAILS),
    Statement("fast_at_step", "App. A.2.1", "FGSM from a random start with step 10/255 (fast AT) still cannot converge",
              10 / 255, FAILS),
    Statement("optimisers", "App. A.2.1", "SGD with momentum, Adam, Nesterov; piecewise and cosine; learning rates 0.1 "
              "and 0.01: none makes PGD-AT converge", None, FAILS),
    Statement("pgd_at_eps_1", "App. A.2.1", "with eps 1/255 PGD-AT can converge on random labels", 1 / 255, CONVERGES),
    Statement("pgd_at_eps_2", "App. A.2.1", "with eps of at least 2/255 it cannot", 2 / 255, FAILS),
    Statement("refined_pgd_at", "Sec. 3.2, Fig. A.8", "Eq. 6 on random labels can successfully converge", None,
              CONVERGES),
    Statement("noisy_gradients", "App. A.2.3, Fig. A.9", "under 80% noise the gradient norm of clean examples is almost"
              " the same as that of noisy ones for PGD-AT (100 images of each)", 100, "images"),
    Statement("small_eps", "Sec. 4.1, App. C.1, Fig. 6b, C.1", "when eps is small, robust overfitting does not occur",
              None, "no overfitting"),
)
# fmt: on

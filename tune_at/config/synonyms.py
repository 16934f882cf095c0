"""Words of other libraries for the keys of a study: Ray Tune, Optuna, PyTorch, torchattacks, papers' code."""

from collections.abc import Iterable

from tune_at.errors import nearest

SYNONYMS: dict[str, tuple[str, ...]] = {
    # PyTorch and papers' code
    "learning_rate": ("optim.lr",),
    "learningrate": ("optim.lr",),
    "base_lr": ("optim.lr",),
    "init_lr": ("optim.lr",),
    "lr_max": ("optim.lr",),
    "wd": ("optim.weight_decay",),
    "l2": ("optim.weight_decay",),
    "decay": ("optim.weight_decay",),
    "optimizer": ("optim.name",),
    "optimiser": ("optim.name",),
    "lr_scheduler": ("optim.schedule",),
    "lr_schedule": ("optim.schedule",),
    "lr_decay": ("optim.schedule.factor",),
    "gamma": ("optim.schedule.factor",),
    "eta_min": ("optim.schedule.final",),
    "batch": ("train.batch_size",),
    "batchsize": ("train.batch_size",),
    "bs": ("train.batch_size",),
    "num_epochs": ("train.epochs",),
    "n_epochs": ("train.epochs",),
    "max_epochs": ("train.epochs",),
    "epoch": ("train.epochs",),
    "amp": ("train.precision",),
    "arch": ("model.name",),
    "architecture": ("model.name",),
    "network": ("model.name",),
    "dataset": ("data.name",),
    "method": ("objective.name",),
    "loss": ("objective.name",),
    "label_noise": ("data.noise_rate",),
    "noise": ("data.noise_rate",),
    "val_split": ("data.validation",),
    "gpus": ("resources.gpu",),
    "num_gpus": ("resources.gpu",),
    "cpus": ("resources.cpu",),
    "num_cpus": ("resources.cpu",),
    "random_seed": ("seeds",),
    # attacks
    "epsilon": ("attack.eps",),
    "radius": ("attack.eps",),
    "alpha": ("attack.step",),
    "step_size": ("attack.step", "optim.schedule.every", "objective.step"),
    "eps_step": ("attack.step",),
    "eps_iter": ("attack.step",),
    "num_steps": ("attack.steps", "evaluation.steps"),
    "n_steps": ("attack.steps", "evaluation.steps"),
    "nb_iter": ("attack.steps", "evaluation.steps"),
    "attack_iters": ("attack.steps", "evaluation.steps"),
    # Ray Tune
    "grace_period": ("scheduler.grace",),
    "reduction_factor": ("scheduler.eta",),
    "max_t": ("train.epochs",),
    "num_samples": ("search.trials",),
    "time_attr": ("scheduler.metric",),
    "perturbation_interval": ("scheduler.every",),
    "hyperparam_mutations": ("scheduler.mutations",),
    "quantile_fraction": ("scheduler.quantile",),
    "resample_probability": ("scheduler.resample",),
    "min_samples_required": ("scheduler.min_trials",),
    "search_alg": ("search.name",),
    "param_space": ("search.space",),
    # Optuna
    "n_trials": ("search.trials",),
    "n_startup_trials": ("search.startup",),
    "population_size": ("search.startup",),
    "sampler": ("search.name",),
    "pruner": ("scheduler.name",),
    "min_resource": ("scheduler.grace",),
    "max_resource": ("train.epochs",),
    "n_warmup_steps": ("scheduler.grace",),
    "metrics": ("search.objectives", "scheduler.metric"),
    "directions": ("search.objectives",),
}
"""Our dotted paths for a foreign word, the usual one first."""

NOTES = {
    "time_attr": "time is always counted in a trial's own epochs: drop it",
    "mode": "whether more is better follows from the metric: drop it",
    "directions": "whether more is better follows from search.objectives: drop it",
    "max_t": "the longest trial is train.epochs long: write it there",
    "max_resource": "the longest trial is train.epochs long: write it there",
}
"""What to do where the foreign key has no counterpart, or stands elsewhere."""

FORMS = {
    "categorical": "choice",
    "grid_search": "choice",
    "randint": "int",
    "lograndint": "logint",
    "log_uniform": "loguniform",
    "log": "loguniform",
    "float": "uniform",
}
"""Our distributions for other libraries' words."""

NAMES = {
    "tpe": "optuna",
    "nsga2": "optuna",
    "bayes": "optuna",
    "successive_halving": "asha",
    "async_hyperband": "asha",
    "ashascheduler": "asha",
    "hyperbandscheduler": "hyperband",
    "medianstoppingrule": "median",
    "median_stopping": "median",
    "populationbasedtraining": "pbt",
    "fifoscheduler": "fifo",
}
"""Our searches and schedulers for other libraries' words."""


def remedy_for(path: str, known: Iterable[str], section: str = "") -> str:
    """The remedy for an unknown key: what another library's word means here, or the nearest known paths, or "".

    Args:
        path: the dotted path as written.
        known: the paths that may stand there.
        section: what the path is within, where `path` and `known` are relative to it (`search`, `scheduler`).
    """
    above, _, word = path.rpartition(".")
    word, known = word.lower().replace("-", "_"), list(known)
    if note := NOTES.get(word):
        return note
    if meant := SYNONYMS.get(word):
        here = above or section
        inside = [target for target in meant if here and target.startswith(f"{here}.")]
        target = (inside or list(meant))[0]
        if not here and (whole := target.removesuffix(".name")) in known:
            target = whole  # a section stands there: `optimizer: {lr: 0.1}`
        return f"did you mean {target}?"
    near = nearest(path, known)
    return f"did you mean {' or '.join(near)}?" if near else ""

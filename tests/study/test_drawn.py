"""What vouches for a search's points, in spaces with more combinations than are tried beforehand."""

import pytest


@pytest.mark.parametrize("name", ["random", "optuna"])
def test_a_key_has_one_type_in_a_space_of_many_combinations(resolve, name):
    rates = ", ".join(str(n / 1000) for n in range(1, 41))
    study = resolve(
        "title: x\nbase: {data: {subset: 64}, train: {epochs: 1, batch_size: 32}}\n"
        f"search: {{name: {name}, trials: 300, space: {{data.subset: [64, 128, all], optim.lr: [{rates}],"
        " optim.weight_decay: [0, 5e-4], objective: [pgd_at, {name: trades, beta: 3}, {name: trades, beta: 1}]}}\n"
    )
    values = {"optim.weight_decay": 0, "objective": "pgd_at"}
    points = [{**values, "data.subset": s, "optim.lr": n / 1000} for n in range(1, 41) for s in (64, 128, "all")]
    rows = [study.point(number, values)[0].swept for number, values in enumerate(points)]
    rows += [trial.swept for trial in study.trials()]
    kinds = {column: {type(row[column]) for row in rows} - {type(None)} for column in study.columns}
    assert kinds["data.subset"] == kinds["objective"] == {str}
    assert kinds["optim.lr"] == kinds["optim.weight_decay"] == {float}

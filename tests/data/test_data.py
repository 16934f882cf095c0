import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from tune_at.config.data import Digits
from tune_at.data.batches import DeviceImages, cropped, draw_flips, draw_shifts, flipped
from tune_at.data.noise import corrupt_labels
from tune_at.data.sources import load_source
from tune_at.data.splits import split, stratified_choice


def test_digits_are_sklearns_and_the_config_knows_their_sizes():
    source, config = load_source(Digits()), Digits()
    assert len(source.train) == config.train_size
    assert len(source.test) == config.test_size
    assert source.train.images.shape[1:] == config.shape
    ours = np.concatenate([source.train.images, source.test.images])[:, 0]
    assert sorted(map(bytes, ours)) == sorted(map(bytes, load_digits().images.astype(np.uint8)))


def test_splits_are_disjoint_class_balanced_and_depend_on_the_split_seed_alone():
    source = load_source(Digits())
    config = Digits(subset=500, validation=0.1)
    first, again, other = (split(source, c) for c in (config, config, Digits(subset=500, split_seed=1)))
    assert [len(part) for part in first] == [500, config.validation_samples, 360]
    # Two different digits can hardly be the same image; here none are within the training set.
    seen = [{bytes(image) for image in part.images} for part in first]
    assert len(seen[0] & seen[1]) == 0
    assert len(seen[0] & seen[2]) == 0
    for part in first:
        counts = np.bincount(part.labels, minlength=10) / len(part)
        assert np.abs(counts - 0.1).max() < 0.02
    assert np.array_equal(first.train.images, again.train.images)
    assert not np.array_equal(first.train.images, other.train.images)
    assert np.array_equal(first.test.images, other.test.images)


def test_stratified_choice_takes_exactly_what_is_asked():
    labels = np.array([0] * 5 + [1] * 3 + [2] * 2)
    for count in range(1, 11):
        chosen = stratified_choice(labels, count, np.random.default_rng(0))
        assert len(set(chosen)) == count
    assert np.bincount(labels[stratified_choice(labels, 5, np.random.default_rng(0))]).tolist() == [3, 1, 1]


@pytest.mark.parametrize("rate", [0.0, 0.4, 1.0])
def test_noise_is_uniform_over_all_classes(rate):
    labels = np.arange(200_000) % 10
    noisy = corrupt_labels(labels, rate, 10, seed=3)
    # P = (1-r) I + r/C: the share left right is 1 - r + r/C, within five standard errors.
    right = 1 - rate + rate / 10
    assert abs((noisy == labels).mean() - right) <= 5 * np.sqrt(right * (1 - right) / len(labels))
    wrong = (noisy - labels)[noisy != labels] % 10
    if rate:
        assert np.abs(np.bincount(wrong, minlength=10)[1:] / len(wrong) - 1 / 9).max() < 0.005


def test_a_higher_rate_corrupts_a_superset_to_the_same_labels():
    labels = np.arange(1000) % 10
    low, high = (corrupt_labels(labels, rate, 10, seed=0) for rate in (0.3, 0.7))
    changed = low != labels
    assert np.array_equal(low[changed], high[changed])
    assert not np.array_equal(high, corrupt_labels(labels, 0.7, 10, seed=1))


def images():
    return DeviceImages(load_source(Digits()).train, torch.device("cpu"))


def test_images_are_in_unit_range_and_an_epoch_visits_each_once():
    data = images()
    batches = list(data.shuffled(100, Digits(), seed=0, epoch=1))
    index = torch.cat([batch.index for batch in batches])
    assert torch.equal(index.sort().values, torch.arange(len(data)))
    assert len(batches[-1].y) == len(data) % 100
    x = torch.cat([batch.x for batch in batches])
    assert x.dtype == torch.float32
    assert (x.min(), x.max()) == (0, 1)
    assert torch.equal(torch.cat([batch.y for batch in batches]), data.labels[index])
    second = torch.cat([batch.index for batch in data.shuffled(100, Digits(), seed=0, epoch=2)])
    assert not torch.equal(index, second)


def test_crop_is_a_window_of_the_padded_image():
    x = torch.arange(2 * 3 * 5 * 5, dtype=torch.float32).reshape(2, 3, 5, 5) + 1
    out = cropped(x, draw_shifts(2, 2, torch.Generator().manual_seed(0)), 2)
    padded = torch.nn.functional.pad(x, (2,) * 4)
    for image, whole in zip(out, padded, strict=True):
        windows = [whole[:, i : i + 5, j : j + 5] for i in range(5) for j in range(5)]
        assert any(torch.equal(image, window) for window in windows)


def test_flip_mirrors_about_half():
    x = torch.rand(1000, 1, 2, 4)
    out = flipped(x, draw_flips(1000, torch.Generator().manual_seed(0)))
    mirrored = (out == x.flip(-1)).flatten(1).all(1)
    assert ((out == x).flatten(1).all(1) | mirrored).all()
    assert 0.4 < mirrored.float().mean() < 0.6

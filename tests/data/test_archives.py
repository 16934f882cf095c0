"""Torchvision's files: absent, incomplete, damaged or others, each told as what it is, and each remedy tried."""

import functools
import hashlib
import http.server
import io
import pickle
import tarfile
import threading

import numpy as np
import pytest
from torchvision import datasets

from tune_at.config import data as config_data
from tune_at.config.data import CIFAR10, DATASETS, Vision
from tune_at.data import vision
from tune_at.data.archives import read_torchvision, torchvision_root
from tune_at.data.arrays import check_source
from tune_at.data.sources import load_source
from tune_at.errors import UserError
from tune_at.registry import Entry, Registry

BATCHES = [f"data_batch_{n}" for n in range(1, 6)]


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """CIFAR-10 with one image of each class a batch, as an archive that torchvision can fetch; returns its files."""
    monkeypatch.setenv("TUNE_AT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TUNE_AT_DATA", str(tmp_path / "data"))
    rng = np.random.default_rng(0)
    files = {}
    for name in [*BATCHES, "test_batch"]:
        pixels = rng.integers(0, 256, (10, 3072), dtype=np.uint8)
        files[name] = pickle.dumps({"data": pixels, "labels": list(range(10))})
    files["batches.meta"] = pickle.dumps({"label_names": list("abcdefghij")})
    packed = tmp_path / "archive" / "cifar-10-python.tar.gz"
    packed.parent.mkdir()
    with tarfile.open(packed, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    md5 = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(packed.parent))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(datasets.CIFAR10, "url", f"http://127.0.0.1:{server.server_port}/{packed.name}")
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", hashlib.md5(packed.read_bytes()).hexdigest())
    monkeypatch.setattr(datasets.CIFAR10, "train_list", [[name, md5[name]] for name in BATCHES])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [["test_batch", md5["test_batch"]]])
    monkeypatch.setattr(datasets.CIFAR10, "meta", {**datasets.CIFAR10.meta, "md5": md5["batches.meta"]})
    monkeypatch.setattr(CIFAR10, "train_size", 50)
    monkeypatch.setattr(CIFAR10, "test_size", 10)
    yield files
    server.shutdown()
    server.server_close()


def unpack(folder, files):
    for name, content in files.items():
        path = folder / "cifar-10-batches-py" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def refused():
    """The line that loading is refused by; `data list` says the same."""
    with pytest.raises(UserError) as caught:
        load_source(CIFAR10())
    return str(caught.value)


def test_an_absent_data_set_is_downloaded_by_the_command_that_is_named(tmp_path, archive):
    line = refused()
    assert "data set cifar10: is not in" in line
    assert f"`python run.py data fetch cifar10 --data-dir {tmp_path / 'data'}` downloads it" in line
    assert vision.whereabouts("cifar10").startswith("is not in")
    assert vision.fetch("cifar10") == tmp_path / "data" / "cifar10"
    source = load_source(CIFAR10())
    assert source.train.labels.tolist() == list(range(10)) * 5
    assert vision.whereabouts("cifar10") == f"torchvision's files in {tmp_path / 'data' / 'cifar10'}"


def test_a_folder_of_something_else_is_not_torchvisions(tmp_path, archive):
    own = tmp_path / "data" / "cifar10"
    own.mkdir(parents=True)
    assert "holds other files" not in refused()
    (own / "notes.txt").write_text("to do: get the data")
    assert f"is not in {own}, which holds other files" in refused()
    assert "torchvision's files" not in vision.whereabouts("cifar10")
    vision.fetch("cifar10")
    assert len(load_source(CIFAR10()).train) == 50


def test_a_missing_file_is_named_and_fetched(tmp_path, archive):
    own = tmp_path / "data" / "cifar10"
    unpack(own, archive)
    (own / "cifar-10-batches-py" / "test_batch").unlink()
    line = refused()
    assert "is incomplete" in line
    assert "not cifar-10-batches-py/test_batch" in line
    assert f"data fetch cifar10 --data-dir {tmp_path / 'data'}` completes it" in line
    assert "is incomplete" in vision.whereabouts("cifar10")
    vision.fetch("cifar10")
    assert len(load_source(CIFAR10()).test) == 10


@pytest.mark.parametrize("name", ["data_batch_3", "test_batch", "batches.meta"])
def test_a_damaged_file_is_named_and_replaced(tmp_path, archive, name):
    own = tmp_path / "data" / "cifar10"
    unpack(own, {**archive, name: archive[name][:-7]})
    line = refused()
    assert f"is damaged: {own / 'cifar-10-batches-py' / name} has another checksum" in line
    assert "is not in" not in line
    vision.fetch("cifar10")
    assert len(load_source(CIFAR10()).train) == 50


def test_a_download_that_fails_says_so(tmp_path, archive, monkeypatch):
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", "0" * 32)
    with pytest.raises(UserError, match=r"cannot be fetched: File not found or corrupted\.; try it again"):
        vision.fetch("cifar10")
    monkeypatch.setattr(datasets.CIFAR10, "url", "http://127.0.0.1:9/nothing")
    with pytest.raises(UserError, match=r"cannot be fetched: .*; check the connection"):
        vision.fetch("cifar10")


def test_the_files_may_lie_in_the_data_folder_itself(tmp_path, archive):
    unpack(tmp_path / "data", archive)
    assert torchvision_root(CIFAR10(), tmp_path / "data") == tmp_path / "data"
    assert len(load_source(CIFAR10()).train) == 50


def test_too_many_images_are_not_told_as_too_few(tmp_path, archive):
    unpack(tmp_path / "data", archive)
    source = read_torchvision(CIFAR10(), tmp_path / "data")
    with pytest.raises(UserError, match="has 50 images instead of 60; a file is missing or cut short"):
        check_source(source, "x", (3, 32, 32), (60, 10), 10)
    with pytest.raises(UserError, match="has 50 images instead of 40; a file stands twice, or is another's"):
        check_source(source, "x", (3, 32, 32), (40, 10), 10)


def test_a_new_data_set_of_shards_alone_is_read_by_nobody_elses_loader(tmp_path, archive, monkeypatch):
    class New(Vision):
        num_classes = 10
        train_size = 20
        test_size = 10
        name: str = "new"

    entries = [*DATASETS.values(), Entry("new", New, "tune_at.data.vision:load_vision", "ours", "shards alone")]
    registry = Registry("data set", *entries)
    monkeypatch.setattr(config_data, "DATASETS", registry)
    monkeypatch.setattr(vision, "DATASETS", registry)
    with pytest.raises(UserError, match=r"data set new: is not in .*; put its shards train-\*.parquet"):
        vision.load_vision(New())
    with pytest.raises(UserError, match="cannot be downloaded: torchvision does not have it"):
        vision.fetch("new")
    assert "put its shards" in vision.whereabouts("new")

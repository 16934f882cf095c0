"""Where things lie: one file says it, and no other file of the package spells it."""

import pickle
import re
from pathlib import Path

import pytest

from tune_at.errors import UserError
from tune_at.store.failures import DamagedPart, Locked, StorageFailed
from tune_at.store.layout import SweepFolder, checkpoint_name

ROOT = Path(__file__).parent.parent.parent

SPELLED = r'"(?:checkpoints|study\.yaml|tensorboard|store|search|logs|report)"|"(?:best\.pt|epoch-|exploit-)|\.parquet"'


def test_no_other_file_joins_these_names_to_a_folder():
    mistakes = []
    for path in [*(ROOT / "tune_at").rglob("*.py"), *(ROOT / "analysis").rglob("*.py")]:
        if path.name == "layout.py":
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.search(rf"/ f?(?:{SPELLED})|/ f\"[^\"]*(?:epoch-|exploit-|\.parquet)", line):
                mistakes.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert mistakes == []


@pytest.mark.parametrize("where", ["runs/a", Path("runs/a"), "s3://bucket/runs/a?region=eu-central-1"])
def test_a_folder_is_parsed_once_and_travels(where):
    folder = SweepFolder.of(where)
    assert SweepFolder.of(folder) is folder
    assert folder.name == "a"
    assert pickle.loads(pickle.dumps(folder)) == folder
    assert str(folder) == str(where)
    places = [
        folder.study, folder.lock, folder.part("epochs", "t"), folder.part("probes", "t", "k"), folder.log("t"),
        folder.checkpoint("t", 12), folder.best("t"), folder.exploit("t", 12), folder.events(), folder.events("t"),
        folder.point("0007"), folder.report, folder.driver, folder.notices,
    ]  # fmt: skip
    below = str(folder).partition("?")[0] + "/"
    assert [str(place).partition("?")[0].removeprefix(below) for place in places] == [
        "study.yaml", ".lock", "store/epochs/t.parquet", "store/probes/t/k.parquet", "logs/t.txt",
        "checkpoints/t/epoch-000012.pt", "checkpoints/t/best.pt", "checkpoints/t/exploit-000012.pt", "tensorboard",
        "tensorboard/t", "search/0007.json", "report", "driver.json", "notices.json",
    ]  # fmt: skip
    assert checkpoint_name(3) == "epoch-000003.pt"


def test_an_address_that_cannot_be_used_is_refused_here():
    with pytest.raises(UserError, match="unknown kind of storage"):
        SweepFolder.of("ftp://host/runs")


@pytest.mark.parametrize(
    "error",
    [StorageFailed("/x", "is full", "free space"), Locked("/x", "12 on host"), DamagedPart("/x", "is damaged", "y")],
)
def test_failures_come_back_whole_from_another_process(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)

"""Data sections: which images, how they are split, how many labels are noise, which augmentation."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from tune_at.config.section import Rate, Section
from tune_at.registry import Entry, Registry


class DataSection(Section):
    """What every data set has. Images are in [0, 1], shaped (channels, height, width)."""

    num_classes: ClassVar[int]
    shape: ClassVar[tuple[int, int, int]]
    train_size: ClassVar[int]
    """Training images before the validation split is taken."""
    test_size: ClassVar[int]

    name: str
    noise_rate: Rate = 0.0
    """Share r of training labels drawn anew, uniformly over all classes: P = (1-r) I + r/C (Sec. 3.1)."""
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the training images held out, class-balanced, with their true labels."""
    subset: Literal["all"] | Annotated[int, Field(ge=1)] = "all"
    """Number of training images used, class-balanced, after the validation split."""
    split_seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the validation split and of the subset; the same for all trials that are compared."""
    crop: Annotated[int, Field(ge=0)] = 0
    """Random crop after padding each side by this many pixels; 0 is none."""
    flip: bool = False
    """Random horizontal flip."""

    @property
    def validation_samples(self) -> int:
        """Number of images in the validation split."""
        return round(self.train_size * self.validation)

    @property
    def train_samples(self) -> int:
        """Number of images trained on in an epoch."""
        available = self.train_size - self.validation_samples
        return available if self.subset == "all" else min(self.subset, available)


class Digits(DataSection):
    """Scikit-learn's handwritten digits: 1,797 grey images of 8 × 8, 20% of each class for the test."""

    num_classes: ClassVar[int] = 10
    shape: ClassVar[tuple[int, int, int]] = (1, 8, 8)
    train_size: ClassVar[int] = 1437
    test_size: ClassVar[int] = 360

    name: Literal["digits"] = "digits"


DATASETS = Registry(
    "data set",
    Entry("digits", Digits, "tune_at.data.sources:load_digits", "scikit-learn", "1,797 grey 8×8 images, no download"),
)

if TYPE_CHECKING:
    DataConfig = DataSection
else:
    DataConfig = Annotated[DATASETS.union, DATASETS.discriminator]

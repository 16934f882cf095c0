"""Model sections: the network of a trial."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from tune_at.config.section import Section
from tune_at.registry import Entry, Registry


class ModelSection(Section):
    """What every network has."""

    name: str

    def flops(self, shape: tuple[int, int, int], num_classes: int) -> float:
        """Multiply-adds of one forward pass of one image, for the estimate of a sweep's time."""
        raise NotImplementedError


class SmallCNN(ModelSection):
    """Four 3×3 convolutions with batch norm, the second strided, then a linear layer on all features."""

    name: Literal["small_cnn"] = "small_cnn"
    width: Annotated[int, Field(ge=1)] = 24
    """Channels of each convolution's output."""

    def flops(self, shape: tuple[int, int, int], num_classes: int) -> float:
        """Multiply-adds of one forward pass of one image."""
        channels, height, width = shape
        full, half = height * width, -(-height // 2) * -(-width // 2)
        taps = 9 * self.width
        return taps * (channels * full + self.width * 3 * half) + self.width * half * num_classes


MODELS = Registry(
    "model",
    Entry("small_cnn", SmallCNN, "tune_at.models.small_cnn:SmallCNN", "ours", "four convolutions, for small images"),
)

if TYPE_CHECKING:
    ModelConfig = ModelSection
else:
    ModelConfig = Annotated[MODELS.union, Field(discriminator="name")]

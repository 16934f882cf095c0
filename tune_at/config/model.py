"""Model sections: the network of a trial."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, Strict, field_validator

from tune_at.config.section import Broken, Section, TrialParts, Whole
from tune_at.config.versions import Since
from tune_at.registry import Entry, Registry


class ModelSection(Section):
    """What every network has."""

    name: str
    mean: Annotated[tuple[float, ...], Strict(False), Since(2, absent=())] = ()
    """By channel: what a first layer takes from images in [0, 1]; empty is no such layer, as in the paper."""
    std: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Strict(False), Since(2, absent=())] = ()
    """By channel: what that layer divides by."""

    def rules(self, config: TrialParts) -> Iterator[Broken]:
        """One mean and one deviation a channel."""
        channels = config.data.shape[0]
        for key, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != channels and (self.mean or self.std):
                problem = f"{list(values)} is not one number for each of the {channels} channels"
                yield Broken(f"model.{key}", problem, "give mean and std by channel, for images in [0, 1]")

    def flops(self, shape: tuple[int, int, int], num_classes: int) -> float:
        """Multiply-adds of one forward pass of one image, for the estimate of a sweep's time."""
        raise NotImplementedError


class SmallCNN(ModelSection):
    """Four 3×3 convolutions with batch norm, the second strided, then a linear layer on all features."""

    name: Literal["small_cnn"] = "small_cnn"
    width: Annotated[Whole, Field(ge=1)] = 24
    """Channels of each convolution's output."""

    def flops(self, shape: tuple[int, int, int], num_classes: int) -> float:
        """Multiply-adds of one forward pass of one image."""
        channels, height, width = shape
        full, half = height * width, -(-height // 2) * -(-width // 2)
        taps = 9 * self.width
        return taps * (channels * full + self.width * 3 * half) + self.width * half * num_classes


class FixedNetwork(ModelSection):
    """A network without fields, whose cost is known for 32×32 images."""

    cost_at_32: ClassVar[float]
    """Multiply-adds of one forward pass of one 3×32×32 image."""

    def flops(self, shape: tuple[int, int, int], num_classes: int) -> float:
        """Multiply-adds of one forward pass of one image, in proportion to its pixels."""
        _, height, width = shape
        return self.cost_at_32 * height * width / 1024


class ResNet18(FixedNetwork):
    """ResNet-18."""

    cost_at_32: ClassVar[float] = 5.56e8
    name: Literal["resnet18"] = "resnet18"


class PreActResNet18(FixedNetwork):
    """PreActResNet-18, with a last batch norm."""

    cost_at_32: ClassVar[float] = 5.56e8
    name: Literal["preact_resnet18"] = "preact_resnet18"


class VGG16(FixedNetwork):
    """VGG-16 with batch norm."""

    cost_at_32: ClassVar[float] = 3.13e8
    name: Literal["vgg16"] = "vgg16"


class DenseNet121(FixedNetwork):
    """DenseNet-121 with growth 32."""

    cost_at_32: ClassVar[float] = 8.88e8
    name: Literal["densenet121"] = "densenet121"


class DLA(FixedNetwork):
    """Deep layer aggregation."""

    cost_at_32: ClassVar[float] = 1.03e9
    name: Literal["dla"] = "dla"


class WideResNet(ModelSection):
    """Any wide residual network, by its name: `wrn-28-10` has depth 28 and widening factor 10."""

    name: Annotated[str, Field(pattern=r"^wrn-\d+-\d+$")] = "wrn-28-10"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout rate between the two convolutions of a block."""

    @field_validator("name")
    @classmethod
    def _depth(cls, name: str) -> str:
        depth, width = map(int, name.split("-")[1:])
        if depth < 10 or depth % 6 != 4 or width < 1:
            raise ValueError("the depth must be 10, 16, 22, 28, ... (6 n + 4) and the width at least 1")
        return name

    @property
    def blocks(self) -> int:
        """Blocks of each of the three stages."""
        return (int(self.name.split("-")[1]) - 4) // 6

    @property
    def width(self) -> int:
        """The widening factor."""
        return int(self.name.split("-")[2])

    def flops(self, shape: tuple[int, int, int], num_classes: int) -> float:
        """Multiply-adds of one forward pass of one image."""
        channels, height, width = shape
        total, pixels, before = 9.0 * channels * 16 * height * width, height * width, 16
        for stage in range(3):
            pixels, out = height * width / 4**stage, 16 * 2**stage * self.width
            total += pixels * out * (before * 10 + 9 * out)  # the first block, with its 1×1 shortcut
            total += pixels * 18 * out * out * (self.blocks - 1)
            before = out
        return total + before * num_classes


MODELS = Registry(
    "model",
    Entry("small_cnn", SmallCNN, "tune_at.models.small_cnn:SmallCNN", "ours", "four convolutions, for small images"),
    Entry("resnet18", ResNet18, "tune_at.models.resnet:ResNet18", "Sec. 5", "ResNet-18", label="ResNet-18"),
    Entry(
        "preact_resnet18",
        PreActResNet18,
        "tune_at.models.resnet:PreActResNet18",
        "Sec. 5 (baselines)",
        "PreActResNet-18 with a last batch norm",
        label="PreActResNet-18",
    ),
    Entry(
        "wrn-28-10",
        WideResNet,
        "tune_at.models.wide_resnet:WideResNet",
        "Sec. 3.1, App. A.2.1",
        "wide ResNet, with dropout; any wrn-DEPTH-WIDTH, e.g. wrn-34-10, wrn-34-20, wrn-70-16",
        pattern=r"wrn-\d+-\d+",
    ),
    Entry("vgg16", VGG16, "tune_at.models.vgg:VGG16", "Tab. C.1", "VGG-16 with batch norm", label="VGG-16"),
    Entry(
        "densenet121",
        DenseNet121,
        "tune_at.models.densenet:DenseNet121",
        "Fig. A.3a",
        "DenseNet-121, growth 32",
        label="DenseNet-121",
    ),
    Entry("dla", DLA, "tune_at.models.dla:DLA", "Fig. A.3b", "deep layer aggregation", label="DLA"),
)

if TYPE_CHECKING:
    ModelConfig = ModelSection
else:
    ModelConfig = Annotated[MODELS.union, MODELS.discriminator]

"""ResNet-18 (He et al., 2016a) and PreActResNet-18 (He et al., 2016b), with the stem for small images."""

from torch import Tensor, nn

from tune_at.config.model import PreActResNet18 as PreActResNet18Config
from tune_at.config.model import ResNet18 as ResNet18Config

STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))
"""Channels and first stride of each stage of two blocks."""


def conv3x3(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """A 3×3 convolution that keeps the size at stride 1; batch norm brings the bias."""
    return nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)


class BasicBlock(nn.Module):
    """ReLU(x + BN(conv(ReLU(BN(conv(x)))))), with a 1×1 convolution on x where the shape changes."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            conv3x3(in_channels, out_channels, stride),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            conv3x3(out_channels, out_channels),
            nn.BatchNorm2d(out_channels),
        )
        self.shortcut = nn.Sequential()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels)
            )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(b, in, h, w) → (b, out, h / stride, w / stride)."""
        return self.relu(self.residual(x) + self.shortcut(x))


class PreActBlock(nn.Module):
    """x + conv(ReLU(BN(conv(ReLU(BN(x)))))); where the shape changes, the shortcut starts after the first ReLU."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_channels)
        self.relu = nn.ReLU(inplace=True)
        self.residual = nn.Sequential(
            conv3x3(in_channels, out_channels, stride),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            conv3x3(out_channels, out_channels),
        )
        self.shortcut: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(b, in, h, w) → (b, out, h / stride, w / stride)."""
        active = self.relu(self.norm(x))
        return self.residual(active) + (x if self.shortcut is None else self.shortcut(active))


class ResNet18(nn.Module):
    """Four stages of two basic blocks after a 3×3 stem of stride 1; global average; linear.

    Input (b, in_channels, h, w) in [0, 1]; output logits (b, num_classes).
    """

    def __init__(self, config: ResNet18Config, num_classes: int, in_channels: int, image_size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [conv3x3(in_channels, 64), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
        channels = 64
        for width, stride in STAGES:
            layers += [BasicBlock(channels, width, stride), BasicBlock(width, width)]
            channels = width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.classifier(self.features(x).mean((2, 3)))


class PreActResNet18(nn.Module):
    """Four stages of two pre-activation blocks, a last batch norm and ReLU; global average; linear.

    Input (b, in_channels, h, w) in [0, 1]; output logits (b, num_classes).
    """

    def __init__(self, config: PreActResNet18Config, num_classes: int, in_channels: int, image_size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [conv3x3(in_channels, 64)]
        channels = 64
        for width, stride in STAGES:
            layers += [PreActBlock(channels, width, stride), PreActBlock(width, width)]
            channels = width
        self.features = nn.Sequential(*layers, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.classifier(self.features(x).mean((2, 3)))

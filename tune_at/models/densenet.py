"""DenseNet-121 (Huang et al., 2017), growth 32, with the stem for small images."""

import torch
from torch import Tensor, nn

from tune_at.config.model import DenseNet121 as DenseNet121Config
from tune_at.models.resnet import conv3x3

GROWTH = 32
BLOCKS = (6, 12, 24, 16)


class Bottleneck(nn.Module):
    """Adds `GROWTH` channels to its input: BN, ReLU, 1×1 to four times the growth, BN, ReLU, 3×3, concatenate."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.grow = nn.Sequential(
            nn.BatchNorm2d(in_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(in_channels, 4 * GROWTH, 1, bias=False),
            nn.BatchNorm2d(4 * GROWTH),
            nn.ReLU(inplace=True),
            conv3x3(4 * GROWTH, GROWTH),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(b, in, h, w) → (b, in + GROWTH, h, w)."""
        return torch.cat([self.grow(x), x], 1)


class DenseNet121(nn.Module):
    """Four dense blocks of 6, 12, 24 and 16 bottlenecks; between them channels and size are halved.

    Input (b, in_channels, h, w) in [0, 1]; output logits (b, num_classes).
    """

    def __init__(self, config: DenseNet121Config, num_classes: int, in_channels: int, image_size: int) -> None:
        super().__init__()
        channels = 2 * GROWTH
        layers: list[nn.Module] = [conv3x3(in_channels, channels)]
        for number, count in enumerate(BLOCKS):
            for _ in range(count):
                layers.append(Bottleneck(channels))
                channels += GROWTH
            if number < len(BLOCKS) - 1:
                layers += [
                    nn.BatchNorm2d(channels),
                    nn.ReLU(inplace=True),
                    nn.Conv2d(channels, channels // 2, 1, bias=False),
                    nn.AvgPool2d(2),
                ]
                channels //= 2
        self.features = nn.Sequential(*layers, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.classifier(self.features(x).mean((2, 3)))

"""Deep layer aggregation (Yu et al., 2018), sized for small images."""

import torch
from torch import Tensor, nn

from tune_at.config.model import DLA as DLAConfig
from tune_at.models.resnet import BasicBlock, conv3x3


class Tree(nn.Module):
    """Aggregates the outputs of its two last blocks and, above level 1, of a block and lower trees before them.

    The aggregation node is a 1×1 convolution over all of them, with batch norm and ReLU.
    """

    def __init__(self, in_channels: int, out_channels: int, level: int, stride: int) -> None:
        super().__init__()
        self.first: nn.Module | None = None
        self.subtrees = nn.ModuleList()
        entering = in_channels
        if level > 1:
            self.first = BasicBlock(in_channels, out_channels, stride)
            for low in range(level - 1, 0, -1):
                self.subtrees.append(Tree(entering, out_channels, low, stride))
                entering, stride = out_channels, 1
        self.left = BasicBlock(entering, out_channels, stride)
        self.right = BasicBlock(out_channels, out_channels)
        children = 2 if level == 1 else level + 2
        self.root = nn.Sequential(
            nn.Conv2d(children * out_channels, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(b, in, h, w) → (b, out, h / stride, w / stride)."""
        parts = [] if self.first is None else [self.first(x)]
        for subtree in self.subtrees:
            x = subtree(x)
            parts.append(x)
        left = self.left(x)
        return self.root(torch.cat([*parts, left, self.right(left)], 1))


class DLA(nn.Module):
    """Three convolutions, then trees of levels 1, 2, 2, 1 with 64, 128, 256, 512 channels; global average; linear.

    Input (b, in_channels, h, w) in [0, 1]; output logits (b, num_classes).
    """

    def __init__(self, config: DLAConfig, num_classes: int, in_channels: int, image_size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = in_channels
        for width in (16, 16, 32):
            layers += [conv3x3(channels, width), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            channels = width
        for width, level, stride in ((64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 1, 2)):
            layers.append(Tree(channels, width, level, stride))
            channels = width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.classifier(self.features(x).mean((2, 3)))

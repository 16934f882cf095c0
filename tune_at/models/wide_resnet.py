"""Wide residual networks (Zagoruyko and Komodakis, 2016)."""

import math

from torch import Tensor, nn
from torch.nn import functional as F

from tune_at.config.model import WideResNet as WideResNetConfig
from tune_at.models.resnet import conv3x3


class WideBlock(nn.Module):
    """Pre-activation block with dropout between its two convolutions.

    Where the number of channels changes, residual and shortcut share the first batch norm and ReLU.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv1 = conv3x3(in_channels, out_channels, stride)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.conv2 = conv3x3(out_channels, out_channels)
        self.dropout = dropout
        self.shortcut: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(b, in, h, w) → (b, out, h / stride, w / stride)."""
        active = self.relu(self.norm(x))
        residual = self.relu(self.norm2(self.conv1(active)))
        if self.dropout:
            residual = F.dropout(residual, self.dropout, self.training)
        return self.conv2(residual) + (x if self.shortcut is None else self.shortcut(active))


class WideResNet(nn.Module):
    """WRN-depth-width: three stages of (depth - 4) / 6 blocks with 16, 32 and 64 times `width` channels.

    Input (b, in_channels, h, w) in [0, 1]; output logits (b, num_classes).
    """

    def __init__(self, config: WideResNetConfig, num_classes: int, in_channels: int, image_size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [conv3x3(in_channels, 16)]
        channels = 16
        for width, stride in ((16, 1), (32, 2), (64, 2)):
            out = width * config.width
            for number in range(config.blocks):
                layers.append(WideBlock(channels, out, stride if number == 0 else 1, config.dropout))
                channels = out
        self.features = nn.Sequential(*layers, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        self.classifier = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
                nn.init.normal_(module.weight, 0, math.sqrt(2 / fan_out))
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.classifier(self.features(x).mean((2, 3)))

"""VGG-16 with batch norm (Simonyan and Zisserman, 2015), with one linear layer for small images."""

from torch import Tensor, nn

from tune_at.config.model import VGG16 as VGG16Config

STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""Channels and number of convolutions before each 2×2 max pooling."""


class VGG16(nn.Module):
    """Thirteen 3×3 convolutions with batch norm and ReLU in five pooled stages; global average; linear.

    Input (b, in_channels, h, w) in [0, 1]; output logits (b, num_classes). Images smaller than 32 pixels are
    pooled only while they are larger than one pixel.
    """

    def __init__(self, config: VGG16Config, num_classes: int, in_channels: int, image_size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels, size = in_channels, image_size
        for width, count in STAGES:
            for _ in range(count):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
                channels = width
            if size > 1:
                layers.append(nn.MaxPool2d(2))
                size //= 2
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.classifier(self.features(x).mean((2, 3)))

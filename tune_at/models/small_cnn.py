"""A small network for small images: minutes, not days, on a laptop."""

from torch import Tensor, nn

from tune_at.config.model import SmallCNN as SmallCNNConfig


class SmallCNN(nn.Module):
    """Four 3×3 convolutions with batch norm and ReLU, the second of stride 2, and a linear layer on all features.

    Input (b, in_channels, image_size, image_size) in [0, 1]; output logits (b, num_classes).
    """

    def __init__(self, config: SmallCNNConfig, num_classes: int, in_channels: int, image_size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = in_channels
        for stride in (1, 2, 1, 1):
            layers += [
                nn.Conv2d(channels, config.width, 3, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(config.width),
                nn.ReLU(inplace=True),
            ]
            channels = config.width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(config.width * (-(-image_size // 2)) ** 2, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.classifier(self.features(x).flatten(1))

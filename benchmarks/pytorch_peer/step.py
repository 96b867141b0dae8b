"""The same training step in PyTorch, for `benchmarks.train_step`: two ways, one network.

Runs in an environment of requirements-benchmarks.txt, without TensorFlow. The network is the same
ResNet, of version 1 or 1.5, with the weights that our step starts from, so that the first losses
must agree.
"""

import sys

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.pytorch_peer.resnet import ResNet
from benchmarks.told_steps import StepSettings, ToldSteps, host_peak

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class TunedStep:
    """As one writes it for speed today: channels-last, autocast, one expression per loss."""

    def __init__(self, settings, network, images, labels):
        self._settings = settings
        self._network = network.to(memory_format=torch.channels_last)
        self._images = images.contiguous(memory_format=torch.channels_last)
        self._labels = labels.repeat(4, 1)
        ratio = settings.positive_ratio
        self._weights = torch.where(self._labels == 1, np.exp(1 - ratio), np.exp(ratio))
        self._forward = torch.compile(self._outputs) if settings.compiled else self._outputs

    def __call__(self):
        side = self._settings.scaled_size
        small = F.interpolate(self._images, (side, side), mode="bilinear", antialias=True)
        logits, heatmaps = zip(*map(self._show, (self._images, small)), strict=True)
        logits = torch.cat(logits)
        losses = F.binary_cross_entropy_with_logits(logits, self._labels, reduction="none")
        loss = (losses * self._weights).sum() / len(logits)
        for views in heatmaps:
            original, flipped = views.chunk(2)
            loss = loss + F.mse_loss(original, flipped.flip(3))
        large, small = common_grids(*heatmaps)
        return loss + F.mse_loss(large, small)

    def _show(self, images):
        together = torch.cat((images, images.flip(3)))
        is_mixed = self._settings.precision == "bfloat16"
        with torch.autocast(DEVICE, torch.bfloat16, enabled=is_mixed):
            features = self._forward(self._network.normalize(together)).float()
        fc = self._network.fc
        heatmaps = F.conv2d(features, fc.weight.detach()[:, :, None, None])
        return fc(features.mean((2, 3))), heatmaps

    def _outputs(self, images):
        return self._network.features(images)


class ReleasedStep:
    """The computation of the release of 2019 (github.com/hguosc/visual_attention_consistency).

    Its `main.py`, `utils.py` and `resnet.py`: float32 in the default layout, the four views from
    the loader, heatmaps as the sum over channels of a product `[B, L, C, h, w]`, the loss example
    by example without a stable log-sigmoid, flips by `grid_sample`. Its network is version 1.5, as
    `--backbone=resnet50_v1_5` has it (4.09 billion multiplications at 224 px, version 1 has 3.86).
    """

    def __init__(self, settings, network, images, labels):
        side = settings.scaled_size
        small = F.interpolate(images, (side, side), mode="bilinear", antialias=True)
        pairs = (torch.cat((views, views.flip(3))) for views in (images, small))
        self._network = network
        self._views = [network.normalize(pair).contiguous() for pair in pairs]
        self._labels = labels.repeat(4, 1)
        ratio = torch.full((settings.num_labels,), settings.positive_ratio, device=DEVICE)
        self._positive, self._negative = (1 - ratio).exp(), ratio.exp()

    def __call__(self):
        logits, heatmaps = zip(*map(self._outputs, self._views), strict=True)
        loss = self._classify(torch.cat(logits))
        for views in heatmaps:
            original, flipped = views.chunk(2)
            grid = self._flip_grid(*views.shape[2:]).expand(len(original), -1, -1, -1)
            back = F.grid_sample(
                flipped, grid, mode="bilinear", padding_mode="border", align_corners=True
            )
            loss = loss + F.mse_loss(original, back)
        large, small = common_grids(*heatmaps)
        return loss + F.mse_loss(large, small)

    def _outputs(self, images):
        features = self._network.features(images)
        fc = self._network.fc
        logits = fc(F.adaptive_avg_pool2d(features, 1).flatten(1))
        kernel = fc.weight.detach()[None, :, :, None, None]
        return logits, (features.unsqueeze(1) * kernel).sum(2)

    def _classify(self, logits):
        total = 0.0
        for example, labels in zip(logits, self._labels, strict=True):
            weights = torch.zeros(len(labels), device=DEVICE)
            weights[labels == 1] = self._positive[labels == 1]
            weights[labels == 0] = self._negative[labels == 0]
            odds = (-example).exp()
            sure = labels * (1 / (1 + odds)).log() + (1 - labels) * (odds / (1 + odds)).log()
            total = total - (weights * sure).sum()
        return total / len(logits)

    @staticmethod
    def _flip_grid(height, width):
        rows = torch.linspace(-1, 1, height, device=DEVICE)
        columns = torch.linspace(1, -1, width, device=DEVICE)
        return torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)[None]


def common_grids(large, small):
    """Two stacks of heatmaps on their least common multiple, 42x42 for 7x7 and 6x6."""
    shape = [int(np.lcm(*sides)) for sides in zip(large.shape[2:], small.shape[2:], strict=True)]
    return F.interpolate(large, shape), F.interpolate(small, shape)


WAYS = {"tuned": TunedStep, "released": ReleasedStep}


def _peak():
    return torch.cuda.max_memory_allocated() / 2**20 if DEVICE == "cuda" else host_peak()


def main(way, settings):
    torch.backends.cudnn.benchmark = True
    with np.load(settings.start) as file:
        arrays = dict(file)
    network = ResNet(settings.backbone, settings.num_labels)
    network.load(arrays)
    network = network.to(DEVICE).train()
    images = torch.from_numpy(arrays["images"].transpose(0, 3, 1, 2)).to(DEVICE)
    labels = torch.from_numpy(arrays["labels"]).to(DEVICE)
    loss_of_step = WAYS[way](settings, network, images.contiguous(), labels)
    optimizer = torch.optim.SGD(
        network.parameters(),
        settings.learning_rate,
        settings.momentum,
        weight_decay=settings.weight_decay,
    )

    def step():
        loss = loss_of_step()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    told = ToldSteps(_peak)
    while told.go_on(step()):
        pass


if __name__ == "__main__":
    main(sys.argv[1], StepSettings.from_argument(sys.argv[2]))

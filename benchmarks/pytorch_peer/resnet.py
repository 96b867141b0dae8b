"""ResNet in PyTorch with torchvision's names, in version 1 or 1.5; needs no TensorFlow.

Version 1 is that of `keras.applications` (the stride is in the first convolution of a block,
colours are BGR without their mean), 1.5 torchvision's (the stride is in the 3x3 convolution,
colours are RGB by mean and deviation).
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

BLOCKS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3), "resnet152": (3, 8, 36, 3)}
MEAN_BGR = (103.939, 116.779, 123.68)
MEAN_RGB, STD_RGB = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolution, without the biases that the normalisation would cancel."""

    def __init__(self, inputs, width, stride, projects, is_v1_5, epsilon):
        super().__init__()
        strides = (1, stride, 1) if is_v1_5 else (stride, 1, 1)
        self.conv1 = nn.Conv2d(inputs, width, 1, strides[0], bias=False)
        self.bn1 = nn.BatchNorm2d(width, epsilon)
        self.conv2 = nn.Conv2d(width, width, 3, strides[1], 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width, epsilon)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width, epsilon)
        self.downsample = nn.Identity()
        if projects:
            projection = nn.Conv2d(inputs, 4 * width, 1, stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(4 * width, epsilon))

    def forward(self, inputs):
        features = F.relu(self.bn1(self.conv1(inputs)), inplace=True)
        features = F.relu(self.bn2(self.conv2(features)), inplace=True)
        return F.relu(self.bn3(self.conv3(features)) + self.downsample(inputs), inplace=True)


class ResNet(nn.Module):
    """Pixels `[B, 3, H, W]` 0..255 RGB -> features `[B, 2048, h, w]`, and the classifier `fc`.

    Args:
        backbone: our name of it, such as `resnet50` (version 1) or `resnet50_v1_5`.
        num_labels: outputs of `fc`.
    """

    def __init__(self, backbone, num_labels):
        super().__init__()
        self.is_v1_5 = backbone.endswith("_v1_5")
        epsilon = 1e-5 if self.is_v1_5 else 1.001e-5  # Keras's own.
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64, epsilon)
        inputs = 64
        for stage, count in enumerate(BLOCKS[backbone.removesuffix("_v1_5")]):
            width = 64 * 2**stage
            blocks = nn.Sequential()
            for number in range(count):
                stride = 2 if stage and not number else 1
                blocks.append(Bottleneck(inputs, width, stride, not number, self.is_v1_5, epsilon))
                inputs = 4 * width
            self.add_module(f"layer{stage + 1}", blocks)
        self.fc = nn.Linear(inputs, num_labels)

    def normalize(self, images):
        """Pixels as the network wants them."""
        if not self.is_v1_5:
            return images.flip(1) - _channels(MEAN_BGR, images)
        return (images / 255 - _channels(MEAN_RGB, images)) / _channels(STD_RGB, images)

    def features(self, images):
        """Of normalised images."""
        features = F.relu(self.bn1(self.conv1(images)), inplace=True)
        features = F.max_pool2d(features, 3, 2, 1)
        return self.layer4(self.layer3(self.layer2(self.layer1(features))))

    def load(self, arrays):
        """Takes the trained weights of a Keras network, `module/weight` by torchvision's names."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d):
                _assign(module.weight, arrays[f"{name}/kernel"].transpose(3, 2, 0, 1))
            elif isinstance(module, nn.BatchNorm2d):
                _assign(module.weight, arrays[f"{name}/gamma"])
                _assign(module.bias, arrays[f"{name}/beta"])
        _assign(self.fc.weight, arrays["fc/kernel"].T)
        _assign(self.fc.bias, arrays["fc/bias"])


def _channels(values, images):
    return torch.tensor(values, device=images.device).view(1, 3, 1, 1)


def _assign(parameter, values):
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(np.ascontiguousarray(values)))

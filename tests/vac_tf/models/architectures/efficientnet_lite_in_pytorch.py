"""Runs the reference of EfficientNet-Lite, an independent network in PyTorch, on given images.

    torch-venv/bin/python efficientnet_lite_in_pytorch.py VARIANT WEIGHTS.pth IMAGES.npz OUTPUTS.npz

Needs requirements-benchmarks.txt; the test beside it starts this, with VAC_TORCH_PYTHON. IMAGES
holds arrays `[B, H, W, 3]` in 0..255, OUTPUTS gets `features_NAME` `[B, h, w, 1280]` and
`logits_NAME` `[B, 1000]` of each.
"""

import sys

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet


def main(variant, weights, images_file, outputs_file):
    # Without an image size it pads as TensorFlow does, whatever the size.
    network = EfficientNet.from_name(variant.replace("_", "-"), image_size=None).eval()
    network.load_state_dict(torch.load(weights, weights_only=True))
    outputs = {}
    with np.load(images_file) as images, torch.no_grad():
        for name, pixels in images.items():
            normalized = torch.from_numpy((pixels - 127.0) / 128.0).permute(0, 3, 1, 2)
            features = network.extract_features(normalized)
            outputs[f"features_{name}"] = features.permute(0, 2, 3, 1).numpy()
            outputs[f"logits_{name}"] = network(normalized).numpy()
    np.savez(outputs_file, **outputs)


if __name__ == "__main__":
    main(*sys.argv[1:])

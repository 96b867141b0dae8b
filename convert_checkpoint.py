"""Turns a published checkpoint of PyTorch into a run folder, without PyTorch and without training.

    python convert_checkpoint.py --flagfile=flags/recipes/wider_r50_acfs.flags --data_dir=WIDER
        --checkpoint=model_resnet50_state.pth --labels=wider_labels.txt --run_dir=runs/vac_release

The folder is one that evaluate.py, export_model.py and analyze.py take. Besides its own flags
(--checkpoint, --layout, --labels) it has those of train.py, for the folder to say what the network
expects (backbone, pooling, image size, data); a recipe has them all. Takes seconds.
"""

from flags import dataclass_flags
from flags.console import quiet_imports
from flags.program import run_program
from vac_tf.configs.conversion import ConversionConfig


def main():
    config = dataclass_flags.from_flags(ConversionConfig)
    with quiet_imports():
        from vac_tf.runs.conversion import convert_checkpoint

    print(convert_checkpoint(config))


if __name__ == "__main__":
    dataclass_flags.define(ConversionConfig)
    run_program(main)

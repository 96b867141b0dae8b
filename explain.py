"""Draws where a model looks: heatmaps over images, and how they follow views of these.

    python explain.py --model=runs/flip --images=photos --output=pages/flip
    python explain.py --model=bundles/flip/model.onnx --images=photo.jpg --labels=dog,cat
        --output=pages/dog

The model is the folder of a run, the model.onnx of a bundle (then no TensorFlow is imported), or
any ONNX file with a tensor of features and a linear head (--features). Of every image and label
OUTPUT holds an overlay with caption and colour bar, the heatmap as .npy, and the same beside views
of the image, moved back, with the difference; contact sheets; explanation.json; and index.html:
begin there. Images that cannot be read are listed with the reason.

Exit codes: 0 done; 2 the flags are wrong; 3 the model, the images or the output cannot be used, or
no image can be read; 130 Ctrl-C, and then OUTPUT is as it was before.
"""

from flags import dataclass_flags
from flags.console import quiet_imports
from flags.program import run_program
from vac_tf.configs.explanation import ExplanationConfig


def main():
    config = dataclass_flags.from_flags(ExplanationConfig)
    with quiet_imports():
        from export.inspection.explain_job import explain_images
        from export.inspection.opened_model import import_libraries

        import_libraries(config.model)

    print(explain_images(config))


if __name__ == "__main__":
    dataclass_flags.define(ExplanationConfig)
    run_program(main)

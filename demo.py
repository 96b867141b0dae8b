"""The whole way in one command, on generated images: train, evaluate, export, score, look.

    python demo.py --output_dir=demo_output

trains a baseline and a consistency model on `scenes` (about 3 and 5 minutes on two cores), prints
their metrics and says where the picture of heatmaps, the exported model and the scores lie.
"""

import os

from absl import flags as absl_flags

from experiments.start_program import start_program
from flags.program import run_program
from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets.scenes.reader import scenes_folder

FLAGS = absl_flags.FLAGS


def main():
    output = os.path.abspath(FLAGS.output_dir)
    runs = {"baseline": f"{output}/baseline", "consistent": f"{output}/consistent"}
    shared = (f"--epochs={FLAGS.epochs}", f"--scenes_train_images={FLAGS.images}")
    shared += (f"--data_dir={output}/scenes",)
    start_program("train.py", f"--run_dir={runs['baseline']}", *shared)
    start_program("train.py", f"--run_dir={runs['consistent']}", "--transforms=hflip", *shared)
    for run_dir in runs.values():
        start_program("evaluate.py", f"--run_dir={run_dir}", "--split=test")
    bundle, scores = f"{output}/bundle", f"{output}/scores.csv"
    start_program("export_model.py", f"--run_dir={runs['consistent']}", f"--bundle_dir={bundle}")
    size, seed = TrainConfig.scenes_image_size, TrainConfig.scenes_seed
    images = f"--images={scenes_folder(f'{output}/scenes', size, FLAGS.images, seed)}/test"
    model = f"--model={bundle}/model.onnx"
    start_program("score.py", model, images, f"--output={scores}", "--overwrite")

    # Imported here: --help needs no TensorFlow.
    from vac_tf.analysis.comparison.mirror_comparison import compare_under_flip

    picture = f"{output}/heatmaps.png"
    compare_under_flip(runs, "test", picture)
    for name, run_dir in runs.items():
        print(f"metrics, {name}: {run_dir}/evaluation.json")
    print(f"heatmaps before and after the flip: {picture}\nexported model: {bundle}")
    print(f"scores: {scores}")


if __name__ == "__main__":
    absl_flags.DEFINE_string("output_dir", "demo_output", "Folder of everything the demo writes.")
    absl_flags.DEFINE_integer("epochs", 10, "Epochs of both runs.")
    absl_flags.DEFINE_integer("images", 3000, "Training images that are generated.")
    run_program(main)

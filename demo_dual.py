"""The dual-stream system in one command, on generated images with simulated fixations.

    python demo_dual.py --output_dir=demo_dual_output

trains a saliency network, a classifier, and two dual-stream networks (the branch without and with
the saliency network's features), prints their metrics as the paper's Table 1 has them, and
compares attention with classification on one page.
"""

import os

from absl import flags as absl_flags

from experiments.dual_stream_trio import table, train_trio
from experiments.start_program import start_program
from flags.program import run_program

FLAGS = absl_flags.FLAGS
RECIPES = "--flagfile=flags/recipes/dual_stream/"


def main():
    output = os.path.abspath(FLAGS.output_dir)
    shared = (f"--scenes_train_images={FLAGS.images}", f"--data_dir={output}/scenes")
    shared += ("--cache=memory",)
    shared += tuple(FLAGS.train_flag)
    saliency = f"{output}/saliency"
    recipe = f"{RECIPES}scenes_saliency.flags"
    start_program("train_saliency.py", recipe, *shared, f"--run_dir={saliency}")
    recipe = f"{RECIPES}scenes_dual_stream_settings.flags"
    runs = train_trio(output, saliency, "test", (recipe, *shared))
    one_stream, _, dual_stream = runs.values()
    analysis = f"{output}/analysis"
    start_program(
        "analyze.py",
        f"--run_dir={dual_stream}",
        f"--baseline_run_dir={one_stream}",
        f"--saliency_run={saliency}",
        "--split=test",
        f"--output_dir={analysis}",
    )
    print("\n" + table(runs))
    print(f"analysis of attention against classification: {analysis}/report.html")


if __name__ == "__main__":
    absl_flags.DEFINE_string("output_dir", "demo_dual_output", "Folder of all that is written.")
    absl_flags.DEFINE_integer("images", 1300, "Training images that are generated.")
    absl_flags.DEFINE_multi_string("train_flag", [], "A further flag of every training.")
    run_program(main)

"""The subcommands of `vac`: one line each."""

import dataclasses

LIBRARY = "vac-tf"
SCORING = "vac-scoring"


@dataclasses.dataclass(frozen=True)
class Program:
    """A program at the top of the checkout.

    Attributes:
        module: Its file, without the suffix.
        summary: What `vac --help` says of it.
        distribution: In which it is installed. One of vac-scoring reaches no TensorFlow.
    """

    module: str
    summary: str
    distribution: str = LIBRARY


PROGRAMS = {
    "train": Program("train", "train a classifier, or continue a run"),
    "tune": Program("tune", "learning rate, batch size or best values of flags for a training"),
    "evaluate": Program("evaluate", "metrics and consistency of a run; tune its thresholds"),
    "average": Program("average_runs", "one network from several runs: a soup, or their outputs"),
    "train-saliency": Program("train_saliency", "train a network that predicts fixations"),
    "evaluate-saliency": Program("evaluate_saliency", "metrics of a saliency run or result file"),
    "explain": Program("explain", "where a model looks: heatmaps over images, one page"),
    "audit": Program("audit", "whether heatmaps and decisions follow transformed images"),
    "analyze": Program("analyze", "attention and objects: one page about a classifier"),
    "convert-checkpoint": Program("convert_checkpoint", "a run folder from a PyTorch checkpoint"),
    "export": Program("export_model", "a run as ONNX and SavedModel, proven equal to it"),
    "score": Program("score", "score images with an exported network", SCORING),
    "doctor": Program("doctor", "whether this host can score, and what is installed", SCORING),
    "serve": Program("serve", "answer requests with an exported network, over HTTP", SCORING),
}

# What editors, type checkers and the reference see of the names that are loaded at their first use.
from vac_tf.datasets import Split as Split
from vac_tf.datasets import read_split as read_split
from vac_tf.datasets import register_dataset as register_dataset
from vac_tf.inference.evaluation import evaluate as evaluate
from vac_tf.inference.model import Model as Model
from vac_tf.inference.model import load as load
from vac_tf.models import build_classifier as build_classifier
from vac_tf.models.registration import register_backbone as register_backbone
from vac_tf.training.custom.train import train as train
from vac_tf.training.step.classification_loss import register_loss as register_loss
from vac_tf.transforms import register_transform as register_transform

__all__ = [
    "Model",
    "Split",
    "build_classifier",
    "evaluate",
    "load",
    "read_split",
    "register_backbone",
    "register_dataset",
    "register_loss",
    "register_transform",
    "train",
]

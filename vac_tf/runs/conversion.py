"""A published checkpoint as a run folder that can be evaluated, exported and scored."""

import collections
import logging
import os

from vac_tf.configs.conversion import ConversionConfig
from vac_tf.configs.label_groups.group import groups_to_json
from vac_tf.configs.label_groups.reading import read_label_groups
from vac_tf.models.backbones import BACKBONES, get_backbone
from vac_tf.models.classifier import build_classifier
from vac_tf.models.saving import save_network
from vac_tf.models.weights.classifier_checkpoint import LAYOUTS, assign_classifier, count_outputs
from vac_tf.models.weights.tensor_file import read_tensors
from vac_tf.runs.folder import RunFolder

_LOGGER = logging.getLogger(__name__)
# Height and width in pixels of what Rethinking_of_PAR trains pedestrians with.
_PEDESTRIANS = (256, 192)


def convert_checkpoint(config: ConversionConfig) -> str:
    """Writes the network of a checkpoint, its labels and its settings into a run folder.

    Returns:
        What was written, in one line.

    Raises:
        ValueError: a file that is missing or damaged; tensors that do not fit, all of them named;
            another number of labels than outputs; a backbone without published names; or a folder
            that holds a run already.
    """
    published = get_backbone(config.backbone).torch_weights
    if not published:
        named = [name for name, backbone in BACKBONES.items() if backbone.torch_weights]
        raise ValueError(
            f"Backbone {config.backbone!r} is not PyTorch's, so no checkpoint of PyTorch fits it;"
            f" give --backbone={' or '.join(named)}."
        )
    folder, train_config = RunFolder(config.run_dir), config.train_config()
    if os.path.exists(folder.network_file):
        raise ValueError(f"{config.run_dir!r} holds a network already; give another --run_dir.")
    layout = LAYOUTS[config.layout]
    tensors = read_tensors(config.checkpoint)
    label_names = _read_labels(config.labels, count_outputs(tensors, layout))
    groups = read_label_groups(train_config.label_groups, label_names)
    network = build_classifier(config.backbone, len(label_names), pooling=config.pooling)
    try:
        assign_classifier(network, tensors, layout, published.module_of)
    except ValueError as error:
        raise ValueError(f"{config.checkpoint!r}: {error}") from error
    with folder.claimed(train_config):
        described = {"label_names": label_names}
        if groups:
            described["label_groups"] = groups_to_json(groups, label_names)
        folder.write_json("labels.json", described)
        selected_on = "unknown: converted from a published checkpoint"
        selection = {"weights": "published", "epoch": None, "selected_on": selected_on}
        folder.write_json("selection.json", selection)
        save_network(network, folder.network_file)
    if config.layout == "rethinking_of_par":
        _LOGGER.warning(
            "Rethinking_of_PAR resizes pedestrians to %d x %d (height x width); here images are"
            " squares of %d, so that scores are not those that it published.",
            *_PEDESTRIANS,
            config.image_size,
        )
    return (
        f"{config.run_dir}: {config.backbone} with {len(label_names)} labels, all"
        f" {len(tensors)} tensors of {config.checkpoint}."
    )


def _read_labels(path, num_outputs):
    if not os.path.isfile(path):
        raise ValueError(f"No file of labels at {path!r}. Expected one name a line.")
    with open(path, encoding="utf-8-sig") as file:
        names = [line.strip() for line in file]
    while names and not names[-1]:
        names.pop()
    repeated = [name for name, count in collections.Counter(names).items() if count > 1]
    if "" in names or repeated:
        what = f"repeats {', '.join(map(repr, repeated))}" if repeated else "has an empty line"
        raise ValueError(f"{path!r} {what}; expected one name a line, each once.")
    if len(names) != num_outputs:
        raise ValueError(
            f"{path!r} has {len(names)} names, but the checkpoint has {num_outputs} outputs; give"
            " the names of its labels in its order."
        )
    return names

"""One call of audit.py: model, images and truth opened, the audit written as a whole."""

import dataclasses
import functools

from export.files.atomic_folder import replace_folder
from export.inspection.opened_model import is_run, open_model
from export.inspection.pictures import read_pictures
from export.scoring.sources.input import ScoringInput, Source
from export.scoring.sources.open_source import open_source
from vac_tf.audit.run import AUDIT_FILE, audit
from vac_tf.audit.text import format_audit
from vac_tf.audit.truth import align_truth
from vac_tf.configs.audit import AuditConfig
from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets import Split, read_split
from vac_tf.datasets.joined import join_splits, split_names
from vac_tf.datasets.packed_images import file_of, name_of, range_of
from vac_tf.datasets.run_splits import TEST_SPLITS, dataset_options
from vac_tf.datasets.shared_groups import with_known_groups
from vac_tf.inputs.exif_orientation import check_upright
from vac_tf.runs.folder import RunFolder


def audit_images(config: AuditConfig) -> str:
    """Writes the folder `config.output`, which appears as a whole or not at all.

    Returns:
        What was found, for the terminal.

    Raises:
        ValueError: model, images, truth or output cannot be used, or no image can be read.
    """
    split = None if config.images else _read_dataset(config)
    source = _split_source(split) if split else open_source(config.images, config.image_root)
    with replace_folder(config.output, AUDIT_FILE, "folder of audit.py") as folder:
        opened = open_model(config)
        truth = align_truth(split, opened.model.label_names) if split else None
        if split and split.objects is not None and opened.preprocessing.apply_exif_orientation:
            check_upright(split.image_paths, f"The model {config.model!r}")
        pictures = read_pictures(source, opened.preprocessing, config)
        contents = audit(opened.model, pictures, folder, config, truth)
    return format_audit(contents, f"{config.output}/index.html")


def _read_dataset(config: AuditConfig) -> Split:
    """The split with whatever it has of objects; missing images stay, to be listed."""
    data = _data_config(config)
    options = dataset_options(data) | {"with_objects": True, "keep_missing": True}
    names = split_names(config.split or TEST_SPLITS[data.dataset])
    split = join_splits([read_split(data.dataset, data.data_dir, n, **options) for n in names])
    if 0 < config.max_images < len(split):
        split = split.select(range(config.max_images))
    return with_known_groups(split, data)


def _data_config(config: AuditConfig) -> TrainConfig:
    """Where the dataset lies: as the config says, or as the run's does."""
    given = {name: getattr(config, name) for name in ("dataset", "data_dir")}
    given = {name: value for name, value in given.items() if value}
    if not is_run(config.model):
        return TrainConfig(**given)
    return dataclasses.replace(RunFolder(config.model).read_config(), **given)


def _split_source(split: Split) -> Source:
    boxes = [None] * len(split) if split.boxes is None else map(tuple, split.boxes.tolist())
    rows = [
        ScoringInput(name_of(path), file_of(path), box, member=range_of(path))
        for path, box in zip(split.image_paths, boxes, strict=True)
    ]
    return Source.survey(functools.partial(iter, rows), has_boxes=split.boxes is not None)

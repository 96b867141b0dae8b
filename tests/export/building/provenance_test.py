"""What a bundle tells of the run that it was made of, to whoever receives it."""

import dataclasses
import json

from export.building.exporter import describe_run
from export.building.provenance import without_paths
from tests.export.onnx_models import LABELS
from vac_tf.configs.classification import TrainConfig
from vac_tf.inputs.settings import image_settings
from vac_tf.runs.folder import RunFolder

# Texts of a run that are never a path; a new one has to be put here or left out of bundles.
NO_PATHS = {
    *("augment", "augment_layers", "augment_mode", "branch_initialization", "cache"),
    *("cache_content", "consistency_form", "consistency_level", "consistency_target"),
    *("consistency_weight", "dataset", "fusion_init", "group_column", "ignore_columns"),
    *("jit_compile", "label_columns", "label_separator", "label_weights", "loss", "model"),
    *("optimizer", "pairs", "phases", "pooling", "precision", "repeated_images", "resize_kernel"),
    *("scaled_view", "schedule", "strategy", "transforms", "unknown_labels", "weight_column"),
}


def test_no_path_of_the_host_is_published(tmp_path):
    home = tmp_path / "alice"
    home.mkdir()
    config = TrainConfig(
        run_dir=str(home),
        data_dir=f"{home}/private/photos",
        cache_dir=f"{home}/cache",
        dataset="table",
        backbone="small",
        branch_backbone=f"keras:torch:{home}/own.keras",
        backbone_weights=f"{home}/start.weights.h5",
        saliency_run="../alice/maps",
        epochs=3,
    )
    run = RunFolder(str(home))
    run.write_json("labels.json", {"label_names": list(LABELS)})
    weighted = {"mAP": 0.5, "saliency_run": "../alice/maps"}
    evaluation = {"label_based": {"mAP": 0.25}, "saliency_weighted": weighted}
    run.write_json("evaluation.json", evaluation | {"labels_never_decided": ["/m/01g317"]})
    description = describe_run(run, config, image_settings(config), "float32")
    assert "alice" not in json.dumps(description.to_json())
    told = description.training_config
    assert (told["epochs"], told["backbone"], told["run_dir"]) == (3, "small", "")
    assert told["branch_backbone"] == "own.keras"
    assert (told["backbone_weights"], told["saliency_run"]) == ("start.weights.h5", "maps")
    assert description.evaluation["label_based"] == {"mAP": 0.25}
    assert description.evaluation["saliency_weighted"] == {"mAP": 0.5, "saliency_run": "maps"}
    assert description.evaluation["labels_never_decided"] == ["/m/01g317"]


def test_no_setting_that_may_be_a_path_is_published():
    """Every text of a run, but those that name no file whatever it is."""
    texts = [field.name for field in dataclasses.fields(TrainConfig) if field.type in (str, "str")]
    told = without_paths(dict.fromkeys(texts, "/home/alice/secret"))
    published = {name for name, value in told.items() if "alice" in value}
    assert published == NO_PATHS
    sentences = ["5 were trained on by teacher '/home/alice/x'"]
    told = without_paths({"conventions": {"learnt_before": sentences, "split": "test"}})
    assert told == {"conventions": {"split": "test"}}

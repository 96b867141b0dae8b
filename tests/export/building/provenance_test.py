"""What a bundle tells of the run that it was made of, to whoever receives it."""

import json

from export.building.exporter import describe_run
from tests.export.onnx_models import LABELS
from vac_tf.configs.classification import TrainConfig
from vac_tf.inputs.settings import image_settings
from vac_tf.runs.folder import RunFolder


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

"""What servers load: called and parsed as they would, without a server."""

import base64
import dataclasses
import http.server
import json
import os
import re
import subprocess
import sys
import threading

import numpy as np
import onnx
import pytest
from google.protobuf import descriptor_pool, message_factory, text_format

from export.building.config import ExportConfig
from export.building.exporter import export_run
from export.building.triton_repository import (
    new_triton_model,
    triton_config,
    triton_model_name,
    write_triton_model,
)
from export.bundle.description import hash_labels
from export.bundle.model_file import hash_file
from export.images.preprocessing import prepare
from export.scoring.config import ScoringConfig
from export.scoring.job import score
from export.scoring.runtime.session import NetworkSession
from tests.export.building.tiny_run import LABELS, SIZE, tiny_network, write_run, write_table
from tests.export.onnx_models import description, write_channel_mean_model
from tools.python_imports import REPOSITORY

SCHEMA = REPOSITORY / "tests/goldens/triton_model_config.binpb"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A folder with data/, bundles/mine and the Triton repository models/."""
    folder = tmp_path_factory.mktemp("exported")
    write_table(folder / "data", images=4)
    network = tiny_network()
    network.layers[-1].bias.assign([10.0, 0.0, -10.0])  # The first label is always decided.
    run = write_run(folder / "run", folder / "data", network)
    bundle, repository = str(folder / "bundles/mine"), str(folder / "models")
    export_run(ExportConfig(run.path, bundle, triton_repository=repository, parity_images=2))
    return folder


# ---- TensorFlow Serving

# A server's part of a request, in a process that has TensorFlow but not this project: the rules of
# https://www.tensorflow.org/tfx/serving/api_rest#predict_api (row format).
SERVER = """
import base64, json, sys
import numpy as np
import tensorflow as tf

# As the server writes a float: six digits where they are enough, else nine.
def written(value):
    if isinstance(value, list):
        return [written(part) for part in value]
    short = float(f"{value:.6g}")
    return short if np.float32(short) == np.float32(value) else float(f"{value:.9g}")

def value(given):
    if isinstance(given, dict) and set(given) == {"b64"}:
        return base64.b64decode(given["b64"])
    return [value(part) for part in given] if isinstance(given, list) else given

loaded = tf.saved_model.load(sys.argv[1])
for line in sys.stdin:
    request = json.loads(line)
    signature = loaded.signatures[request.get("signature_name", "serving_default")]
    (specs,) = signature.structured_input_signature[1:]
    rows = [
        row if isinstance(row, dict) and set(row) != {"b64"} else {name: row}
        for row in request["instances"]
        for name in list(specs)[:1]
    ]
    inputs = {
        name: tf.constant([value(row[name]) for row in rows], spec.dtype)
        for name, spec in specs.items()
    }
    outputs = signature(**inputs).items()
    outputs = {name: written(output.numpy().tolist()) for name, output in outputs}
    assert not {"vac_tf", "export"} & set(sys.modules)
    predictions = [dict(zip(outputs, row)) for row in zip(*outputs.values())]
    print(json.dumps({"predictions": predictions}), flush=True)
"""


@pytest.fixture(scope="module")
def answer(exported):
    """Sends the body of a request to the SavedModel's process and returns the response's body."""
    command = [sys.executable, "-c", SERVER, str(exported / "bundles/mine/saved_model")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=exported) as process:

        def send(body):
            process.stdin.write(json.dumps(json.loads(body)) + "\n")
            process.stdin.flush()
            return process.stdout.readline()

        yield send
        process.stdin.close()


def expected_scores(exported, images):
    output = exported / "scores.jsonl"
    model = str(exported / "bundles/mine/model.onnx")
    (exported / "list.txt").write_text("".join(f"{image}\n" for image in images))
    images = str(exported / "list.txt")
    score(ScoringConfig(model, images, output=str(output), logits=True, overwrite=True))
    return [json.loads(line) for line in output.read_text().splitlines()]


def assert_scores(predictions, rows):
    for prediction, row in zip(predictions, rows, strict=True):
        probabilities = [row[name] for name in LABELS]
        np.testing.assert_allclose(prediction["probabilities"], probabilities, atol=1e-3)


def test_serve_bytes_answers_a_json_request_as_the_scorer_does(exported, answer):
    images = [exported / f"data/val_{number}.{('jpg', 'png', 'bmp')[number]}" for number in (0, 1)]
    instances = [{"b64": base64.b64encode(image.read_bytes()).decode()} for image in images]
    rows = expected_scores(exported, images)
    for row_format in (instances, [{"encoded_images": instance} for instance in instances]):
        body = json.dumps({"signature_name": "serve_bytes", "instances": row_format})
        predictions = json.loads(answer(body))["predictions"]
        assert {name for row in predictions for name in row} == {"logits", "probabilities"}
        assert_scores(predictions, rows)
    assert predictions[0] != predictions[1]


def test_the_default_signature_takes_prepared_pixels(exported, answer):
    image = exported / "data/val_0.jpg"
    session = NetworkSession(str(exported / "bundles/mine/model.onnx"))
    pixels = prepare(image.read_bytes(), session.description.preprocessing)
    for name in ("serving_default", "serve_heatmaps"):
        body = json.dumps({"signature_name": name, "instances": [pixels.tolist()]})
        predictions = json.loads(answer(body))["predictions"]
        assert_scores(predictions, expected_scores(exported, [image]))
    heatmaps = np.array(predictions[0]["heatmaps"])
    assert heatmaps.shape == (SIZE // 16, SIZE // 16, len(LABELS))


def test_the_client_of_the_documentation_works(exported, answer):
    """Against a web server of this process in front of the SavedModel."""
    (client,) = re.findall(
        r"```python\n(.*?)```", (REPOSITORY / "docs/serving.md").read_text(), re.DOTALL
    )
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            requests.append(self.path)
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer(body).encode())

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("localhost", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = client.replace("localhost:8501", f"localhost:{server.server_port}")
        client = client.replace("photos/0.jpg", "data/val_0.jpg")
        done = subprocess.run(
            [sys.executable, "-c", client], cwd=exported, capture_output=True, text=True
        )
        server.shutdown()
    assert done.returncode == 0, done.stderr
    assert requests == ["/v1/models/mine:predict"]
    (row,) = expected_scores(exported, [exported / "data/val_0.jpg"])
    assert done.stdout.split() == row["decisions"] != []


# ---- Triton


def parsed_config(text):
    """`text` as Triton's schema reads it; an unknown field or a wrong type is an error."""
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(SCHEMA.read_bytes())
    message = message_factory.GetMessageClass(pool.FindMessageTypeByName("inference.ModelConfig"))
    return text_format.Parse(text, message())


def type_name(value):
    kind = value.DESCRIPTOR.fields_by_name["data_type"].enum_type
    return kind.values_by_number[value.data_type].name


def test_the_triton_repository_fits_the_model_and_its_schema(exported):
    folder = exported / "models/mine"
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert files == ["1/model.onnx", "config.pbtxt", "labels.txt"]
    assert os.listdir(exported / "models") == ["mine"]
    config = parsed_config((folder / "config.pbtxt").read_text())
    assert (config.name, config.backend, config.max_batch_size) == ("mine", "onnxruntime", 64)
    assert (folder / "1" / config.default_model_filename).is_file()
    graph = onnx.load(folder / "1/model.onnx").graph
    for declared, values in ((config.input, graph.input), (config.output, graph.output)):
        assert {value.name: list(value.dims) for value in declared} == {
            value.name: [axis.dim_value for axis in value.type.tensor_type.shape.dim[1:]]
            for value in values
        }
        assert {type_name(value) for value in declared} == {"TYPE_FP32"}
    assert config.dynamic_batching.max_queue_delay_microseconds == 1000
    files = {value.name: value.label_filename for value in config.output}
    assert files == {"logits": "", "probabilities": "labels.txt", "heatmaps": ""}
    assert (folder / "labels.txt").read_text().splitlines() == list(LABELS)
    (warmup,) = config.model_warmup
    assert list(warmup.inputs) == ["images"]
    assert list(warmup.inputs["images"].dims) == [SIZE, SIZE, 3]
    values = {key: value.string_value for key, value in config.parameters.items()}
    assert values == {
        "model_sha256": hash_file(exported / "bundles/mine/model.onnx"),
        "label_names_sha256": hash_labels(LABELS),
    }


def test_the_schema_refuses_what_it_does_not_know():
    for text in ("max_batch: 64", 'max_batch_size: "many"', "input [ { data_type: TYPE_FLOAT } ]"):
        with pytest.raises(text_format.ParseError):
            parsed_config(text)


def test_uint8_models_say_so(tmp_path):
    model = write_channel_mean_model(tmp_path / "model.onnx", description(input_dtype="uint8"))
    config = parsed_config(triton_config(NetworkSession(model), "mine"))
    assert [type_name(value) for value in config.input] == ["TYPE_UINT8"]
    assert {type_name(value) for value in config.output} == {"TYPE_FP32"}


def test_names_of_models_hold_no_odd_characters():
    assert triton_model_name("bundles/mine/") == "mine"
    assert triton_model_name('/a/mine "1"') == "mine__1_"


def test_what_is_no_model_of_triton_is_not_replaced(exported, tmp_path):
    (tmp_path / "models/mine").mkdir(parents=True)
    (tmp_path / "models/mine/precious.txt").write_text("")
    config = ExportConfig(
        str(exported / "run"), str(tmp_path / "mine"), triton_repository=str(tmp_path / "models")
    )
    with pytest.raises(ValueError, match="models/mine' exists and is no model of Triton"):
        export_run(config)
    assert sorted(os.listdir(tmp_path)) == ["models"]


@pytest.mark.parametrize("repository", ["bundles", "bundles/mine", "bundles/mine/models"])
def test_a_bundle_and_a_model_of_triton_in_one_folder_are_refused(exported, tmp_path, repository):
    config = ExportConfig(
        str(exported / "run"),
        str(tmp_path / "bundles/mine"),
        triton_repository=str(tmp_path / repository),
    )
    with pytest.raises(ValueError, match="one would replace the other"):
        export_run(config)
    assert not os.path.exists(config.bundle_dir)


def test_a_new_export_is_the_next_version_beside_the_older_ones(tmp_path):
    config = ExportConfig("run", str(tmp_path / "mine"), triton_repository=str(tmp_path / "models"))
    os.mkdir(config.bundle_dir)
    hashes = []
    for scale in (1 / 32, 1 / 16, 1 / 8):
        model = write_channel_mean_model(tmp_path / "mine/model.onnx", scale=scale)
        hashes.append(hash_file(model))
        with new_triton_model(config) as folder:
            write_triton_model(folder, config.bundle_dir, "mine")
    versions = tmp_path / "models/mine"
    assert sorted(os.listdir(versions)) == ["1", "2", "3", "config.pbtxt", "labels.txt"]
    for version, sha256 in zip("123", hashes, strict=True):
        assert hash_file(versions / version / "model.onnx") == sha256
    assert f'string_value: "{hashes[-1]}"' in (versions / "config.pbtxt").read_text()


@pytest.mark.parametrize("link", ["1", "1/model.onnx"])
def test_an_older_version_that_is_a_link_stays_one(tmp_path, link):
    config = ExportConfig("run", str(tmp_path / "mine"), triton_repository=str(tmp_path / "models"))
    os.mkdir(config.bundle_dir)
    sha256 = hash_file(write_channel_mean_model(tmp_path / "mine/model.onnx"))

    def export(config):
        with new_triton_model(config) as folder:
            write_triton_model(folder, config.bundle_dir, "mine")

    export(config)
    older, stored = tmp_path / "models/mine" / link, tmp_path / "stored"
    older.rename(stored)
    older.symlink_to(os.path.relpath(stored, older.parent))  # Nowhere from a temporary folder.
    export(config)
    assert older.is_symlink() and hash_file(tmp_path / "models/mine/1/model.onnx") == sha256
    export(dataclasses.replace(config, remove_older_versions=True))
    assert not os.path.lexists(older) and stored.exists()


def test_older_versions_are_removed_when_asked(tmp_path):
    config = ExportConfig("run", str(tmp_path / "mine"), triton_repository=str(tmp_path / "models"))
    os.mkdir(config.bundle_dir)
    write_channel_mean_model(tmp_path / "mine/model.onnx")
    for remove in (False, False, True):
        with new_triton_model(dataclasses.replace(config, remove_older_versions=remove)) as folder:
            write_triton_model(folder, config.bundle_dir, "mine")
    assert sorted(os.listdir(tmp_path / "models/mine")) == ["3", "config.pbtxt", "labels.txt"]

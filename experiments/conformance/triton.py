"""What a Triton server answers for an exported model: the lines of Triton in docs/checks.md.

    pip install --no-deps --target=triton nvidia-pytriton==0.7.0 tritonclient==2.73.0 \
        python-rapidjson==1.25
    python export_model.py --run_dir=runs/mine --bundle_dir=bundles/mine --triton_repository=models
    python -m experiments.conformance.triton --triton=triton --bundle=bundles/mine \
        --repository=models --images=photos

The server is NVIDIA's, out of the package nvidia-pytriton, and serves the repository as it was
exported. The package has no backend for ONNX Runtime: a backend in Python takes its place, which
calls the ONNX Runtime installed here. So this is a check of all but NVIDIA's few lines around it:
of the configuration, labels, warm-up, batching, and of both protocols. Printed, beside `score.py`'s
outputs for the same images: the largest difference of a probability, of a heatmap (as a share of
the largest value), and the decisions that differ; then the classification extension's three best
labels. The exit code is 1 where these are not the scorer's, or a difference is above
`--most_difference`.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from absl import app, flags

from experiments.conformance.outputs import NAMES, Difference, Outputs, input_images, one_by_one
from export.building.triton_repository import triton_model_name
from export.bundle.description import onnx_file
from export.scoring.runtime.input_buffer import INPUT_NAME
from export.scoring.runtime.session import NetworkSession

FLAGS = flags.FLAGS
_START_SECONDS = 120

_BACKEND = """
import json, os, sys
sys.path += PACKAGES  # The process has none of the environment's.
import numpy, onnxruntime
import triton_python_backend_utils as triton

class TritonPythonModel:
    def initialize(self, args):
        config = json.loads(args["model_config"])
        self.names = [output["name"] for output in config["output"]]
        folder = os.path.join(args["model_repository"], args["model_version"])
        path = os.path.join(folder, config["default_model_filename"])
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def execute(self, requests):
        # By DLPack: this Triton's own way from and to NumPy loses the bytes where NumPy is 2.
        given = [triton.get_input_tensor_by_name(each, "images") for each in requests]
        images = [numpy.from_dlpack(each) for each in given]
        ends = numpy.cumsum([len(each) for each in images])[:-1]
        outputs = self.session.run(self.names, {"images": numpy.concatenate(images)})
        tensor = triton.Tensor.from_dlpack
        return [
            triton.InferenceResponse([tensor(*each) for each in zip(self.names, parts)])
            for parts in zip(*(numpy.split(output, ends) for output in outputs))
        ]
"""


def main(_) -> int:
    session = NetworkSession(os.path.join(FLAGS.bundle, onnx_file("fp32")))
    try:
        images = input_images(session.description.preprocessing, FLAGS.images, FLAGS.count)
    except ValueError as error:
        raise app.UsageError(str(error)) from error
    thresholds = np.array(session.description.thresholds, np.float32)
    ours = one_by_one(lambda batch: session.run(batch, NAMES), images)
    name = triton_model_name(FLAGS.bundle)
    with running(Path(FLAGS.triton), FLAGS.repository) as (http, grpc):
        answers = {
            "Triton, HTTP": one_by_one(lambda batch: _ask_http(http, name, batch), images),
            "Triton, gRPC, requests batched": _ask_grpc(grpc, name, images),
        }
        sizes = _batch_sizes(http, name)
        best = [_best_labels(http, name, image[None]) for image in images]
    differences = []
    for way, theirs in answers.items():
        differences.append(Difference.between(ours, theirs, thresholds))
        print(differences[-1].line(way))
    print(f"Batches that Triton made: {sizes}.")
    labels = session.description.label_names
    count = min(3, len(labels))
    order = np.argsort(-ours["probabilities"], axis=1, kind="stable")[:, :count]
    expected = [[labels[each] for each in row] for row in order]
    wrong = sum(found != row for found, row in zip(best, expected, strict=True))
    print(f"Images of which the {count} best labels differ: {wrong} of {len(images)}.")
    is_near = all(each.is_within(FLAGS.most_difference) for each in differences)
    return int(wrong > 0 or not is_near)


@contextlib.contextmanager
def running(triton: Path, repository: str) -> Iterator[tuple[str, str]]:
    """The server with a repository, on free ports of this machine.

    Args:
        triton: Where pip has put nvidia-pytriton.
        repository: The models.

    Yields:
        The addresses of HTTP (a URL) and gRPC (host and port).

    Raises:
        app.UsageError: there is no server, or it does not start.
    """
    server = triton / "pytriton" / "tritonserver"
    program = server / "bin" / "tritonserver"
    if not program.is_file():
        raise app.UsageError(f"--triton={triton} has no {program}: install nvidia-pytriton there.")
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        http, grpc = _free_port(), _free_port()
        command = [program, f"--model-repository={repository}", "--allow-metrics=false"]
        command += [f"--backend-directory={_backends(server, Path(folder, 'backends'))}"]
        command += [f"--http-port={http}", f"--grpc-port={grpc}", "--http-address=127.0.0.1"]
        command += ["--grpc-address=127.0.0.1", "--exit-timeout-secs=5"]
        with (
            log.open("wb") as output,
            subprocess.Popen(
                command, stdout=output, stderr=output, env=_environment(triton)
            ) as process,
        ):
            try:
                _wait(process, f"http://127.0.0.1:{http}/v2/health/ready", log)
                yield f"http://127.0.0.1:{http}/v2", f"127.0.0.1:{grpc}"
            finally:
                process.terminate()


def _backends(server: Path, folder: Path) -> Path:
    """Triton's own for Python, and one in Python under the name of ONNX Runtime's."""
    packages = [path for path in sys.path if path.endswith("site-packages")]
    (folder / "onnxruntime").mkdir(parents=True)
    (folder / "onnxruntime" / "model.py").write_text(f"PACKAGES = {packages}{_BACKEND}")
    python = folder / "python"
    python.mkdir()
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = server / "python_backend_stubs" / version / "triton_python_backend_stub"
    # Triton takes no links.
    for file in (*(server / "backends" / "python").glob("*triton*"), stub):
        shutil.copy(file, python)
    for package in ("numpy", "numpy.libs"):  # Triton's own lines import it before ours.
        (python / package).symlink_to(Path(np.__file__).parents[1] / package)
    return folder


def _environment(triton: Path) -> dict[str, str]:
    """The backend's process needs this interpreter's library and those of the package."""
    libraries = [str(triton / "nvidia_pytriton.libs"), sysconfig.get_config_var("LIBDIR")]
    return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(libraries)}


def _wait(process: subprocess.Popen, url: str, log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.2)
    raise app.UsageError(f"Triton is not ready. It says:\n{log.read_text()[-3000:]}")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _post(http: str, name: str, body: dict) -> dict:
    data = json.dumps(body).encode()
    with urllib.request.urlopen(f"{http}/models/{name}/infer", data, timeout=300) as response:
        return json.load(response)


def _http_input(batch: np.ndarray) -> dict:
    kind = {"float32": "FP32", "uint8": "UINT8"}[batch.dtype.name]
    shape = list(batch.shape)
    return {"name": INPUT_NAME, "shape": shape, "datatype": kind, "data": batch.ravel().tolist()}


def _ask_http(http: str, name: str, batch: np.ndarray) -> Outputs:
    body = {"inputs": [_http_input(batch)], "outputs": [{"name": each} for each in NAMES]}
    outputs = {each["name"]: each for each in _post(http, name, body)["outputs"]}
    return {
        each: np.float32(outputs[each]["data"]).reshape(outputs[each]["shape"]) for each in NAMES
    }


def _best_labels(http: str, name: str, batch: np.ndarray) -> list[str]:
    """Of one image; the extension writes value:number:label."""
    wanted = {"name": "probabilities", "parameters": {"classification": 3}}
    (output,) = _post(http, name, {"inputs": [_http_input(batch)], "outputs": [wanted]})["outputs"]
    return [text.split(":", 2)[2] for text in output["data"]]


def _ask_grpc(address: str, name: str, images: np.ndarray) -> Outputs:
    """All images in requests of one that wait together, so that Triton makes batches."""
    sys.path.append(FLAGS.triton)
    from concurrent.futures import ThreadPoolExecutor

    from tritonclient import grpc

    client = grpc.InferenceServerClient(address)

    def ask(image: np.ndarray) -> Outputs:
        kind = {"float32": "FP32", "uint8": "UINT8"}[image.dtype.name]
        given = grpc.InferInput(INPUT_NAME, [1, *image.shape], kind)
        given.set_data_from_numpy(image[None])
        answer = client.infer(name, [given], outputs=list(map(grpc.InferRequestedOutput, NAMES)))
        return {each: answer.as_numpy(each) for each in NAMES}

    with contextlib.closing(client), ThreadPoolExecutor(16) as pool:
        rows = list(pool.map(ask, images))
    return {each: np.concatenate([row[each] for row in rows]) for each in NAMES}


def _batch_sizes(http: str, name: str) -> dict[int, int]:
    """Images in a batch -> batches, by the server's own count."""
    with urllib.request.urlopen(f"{http}/models/{name}/stats") as response:
        (stats,) = json.load(response)["model_stats"]
    return {each["batch_size"]: each["compute_infer"]["count"] for each in stats["batch_stats"]}


if __name__ == "__main__":
    flags.DEFINE_string("triton", None, "Folder into which pip has put nvidia-pytriton.")
    flags.DEFINE_string("bundle", None, "Folder of the bundle.")
    flags.DEFINE_string("repository", None, "Triton's model repository of the same export.")
    flags.DEFINE_string("images", None, "Folder of images, searched at any depth.")
    flags.DEFINE_integer("count", 100, "How many images.", lower_bound=1)
    flags.DEFINE_float("most_difference", 1e-5, "Of a value of the network.", lower_bound=0.0)
    flags.mark_flags_as_required(["triton", "bundle", "repository", "images"])
    app.run(main)

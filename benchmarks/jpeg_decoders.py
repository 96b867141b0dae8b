"""Which JPEG decoder is fastest among those that give Pillow's pixels?

    pip install simplejpeg opencv-python-headless
    python -m benchmarks.jpeg_decoders --images=photos

Decodes the same files in turn with each package that is installed, in one thread, and prints the
CPU time per image, its ratio to Pillow's, and how many files differ from Pillow in any pixel.
About a minute.
"""

import importlib
import io
import time
from collections.abc import Callable

import numpy as np
from absl import app, flags
from PIL import Image

from export.images.preprocessing import decode
from export.scoring.sources.image_file import read_image_file
from export.scoring.sources.open_source import open_source

_IMAGES = flags.DEFINE_string("images", None, "Folder of JPEG files.", required=True)
_COUNT = flags.DEFINE_integer("count", 128, "Files to decode.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Turns of each decoder; the median is printed.")

Decoder = Callable[[bytes], np.ndarray]


def pillow() -> Decoder:
    return lambda data: np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def scorer() -> Decoder:
    return lambda data: decode(data, Image.MAX_IMAGE_PIXELS)


def simplejpeg() -> Decoder:
    module = importlib.import_module("simplejpeg")
    return lambda data: module.decode_jpeg(data, "RGB", fastdct=False, fastupsample=False)


def opencv() -> Decoder:
    cv2 = importlib.import_module("cv2")
    flag = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    return lambda data: cv2.imdecode(np.frombuffer(data, np.uint8), flag)


def tensorflow() -> Decoder:
    tf = importlib.import_module("tensorflow")
    return lambda data: tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE").numpy()


DECODERS = {
    "Pillow": pillow,
    "score.py (Pillow)": scorer,
    "simplejpeg": simplejpeg,
    "OpenCV": opencv,
    "TensorFlow": tensorflow,
}


def installed_decoders() -> dict[str, Decoder]:
    """Those whose package can be imported; says which cannot."""
    found = {}
    for name, make in DECODERS.items():
        try:
            found[name] = make()
        except ImportError as error:
            print(f"{name} is left out: {error}")
    return found


def main(_) -> None:
    sources = [value for value in open_source(_IMAGES.value).read()][: _COUNT.value]
    files = [data for value in sources if (data := read_image_file(value.path))[:2] == b"\xff\xd8"]
    decoders = installed_decoders()
    seconds = {name: [] for name in decoders}
    for _ in range(_ROUNDS.value):
        for name, function in decoders.items():
            start = time.process_time()
            for data in files:
                function(data)
            seconds[name].append(time.process_time() - start)
    print("| decoder | CPU ms per image | of Pillow | files that differ |")
    print("|---|---|---|---|")
    expected = [decoders["Pillow"](data) for data in files]
    base = np.median(seconds["Pillow"])
    for name, function in decoders.items():
        median = np.median(seconds[name])
        pairs = zip(files, expected, strict=True)
        differ = sum(not np.array_equal(function(data), pixels) for data, pixels in pairs)
        milliseconds = 1e3 * median / len(files)
        print(f"| {name} | {milliseconds:.2f} | {median / base:.2f} | {differ} of {len(files)} |")


if __name__ == "__main__":
    app.run(main)

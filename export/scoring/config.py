"""The configuration of scoring: a frozen dataclass, checked when made."""

import dataclasses

from export.config_fields import check_choices, check_finite, check_needed, setting
from export.files.read_limits import ReadLimits
from export.scoring.config_checks import STANDARD_OUTPUT, check_flags, check_jobs
from export.scoring.engine.shard import Shard
from export.scoring.runtime.device_choice import DeviceChoice
from export.scoring.runtime.host_limits import available_cores, available_memory

ENGINES = ("local", "ray")
THIS_HOST = "127.0.0.1"
PROVIDERS = ("auto", "cuda", "tensorrt", "cpu")
_MOST_DECODERS = 64  # A GPU has enough before that, and each takes memory.


@dataclasses.dataclass(frozen=True)
class ScoringConfig:
    """Scores images with an exported network."""

    model: str = setting("", "The model.onnx of a bundle; it holds labels, sizes and thresholds.")
    images: str = setting(
        "",
        "A folder (read recursively, sorted), an image, a .tar, a quoted glob (of images or of"
        " tars), a list: .csv or .parquet with a column image and optionally x, y, w, h, or .txt"
        " with one path per line; or - for one path per line of the standard input.",
    )
    image_root: str = setting(
        "", "Folder from which relative paths of a list start (default: the list's folder)."
    )
    output: str = setting(
        "",
        "File to write: .parquet, .csv or .jsonl, in a folder that is made where it is missing. A"
        " finished output of the same job is left as it is, any other file stops the job before it"
        " begins. -: JSON Lines to the standard output, each row as soon as it is there; such a"
        " job does not go on where it stopped.",
    )
    overwrite: bool = setting(False, "Score again and replace what is at --output, whatever it is.")
    only_new: bool = setting(
        False,
        "Score only images that are new, whose content changed, or that another model or other"
        " settings scored; --output gets their rows alone, so give each job one of its own. Every"
        " file is read and compared by its SHA-256.",
    )
    ledger: str = setting(
        "",
        "With --only_new: folder that says what was scored (default: scored.ledger beside"
        " --output). One job at a time uses it.",
    )
    retry_errors: str = setting(
        "",
        "Score again just the rows of the finished --output whose status is one of these,"
        " separated by commas (missing, unreadable, ...), or all that is not ok; all other flags"
        " as they were. --max_error_share does not count here.",
    )
    batch_size: int = setting(32, "Images per call of the network.")
    providers: str = setting(
        "auto",
        "Where the network runs; auto takes a GPU when there is one. A GPU that was asked for"
        " and cannot be used, or leaves convolutions to the CPU, is an error.",
        PROVIDERS,
    )
    devices: str = setting(
        "",
        "Devices that compute side by side, a batch each: all (every GPU that CUDA shows), numbers"
        " of such GPUs (0,1), or cpu:N (N workers that divide the threads of the CPU). The rows do"
        " not depend on their number (default: one device).",
    )
    gpu_memory_mb: int = setting(
        0, "Most memory, in MiB, that the network's tensors may take on each GPU (0: no limit)."
    )
    decoders: int = setting(
        0,
        "Processes that read, decode and resize (0: one per core, at most 64); 1, or a job of fewer"
        " than 256 images: threads.",
    )
    decoding_memory_mb: int = setting(
        0,
        "Most memory, in MiB, that images being decoded may take together (0: half of this host's"
        " or container's). They wait for it; one that needs more is a row with the status"
        " out_of_memory.",
    )
    read_seconds: float = setting(60.0, "Most time of one attempt to read a file by URL.")
    read_retries: int = setting(
        2, "Further attempts to read a file by URL, after pauses of 0.5 s, 1 s, 2 s and so on."
    )
    max_file_mb: int = setting(
        1024, "Largest file, in MiB, that is read; a larger one is a row with the status too_large."
    )
    private_redirects: bool = setting(
        False,
        "Follow redirects of http and https also to other hosts with a private address (always"
        " refused: to other schemes, and from https to http).",
    )
    threads: int = setting(
        0,
        "Threads of the network on a CPU (0: one per core that affinity and container leave this"
        " process; with --engine=ray one per core of an actor).",
    )
    fast_decode: bool = setting(
        False,
        "Decode large JPEG at 1/2, 1/4 or 1/8 of their size, not below the network's input:"
        " faster, and the scores differ; export_model.py and --benchmark say how many decisions"
        " change.",
    )
    threshold: float = setting(
        -1.0, "Decide every label above this probability; below 0: the model's own thresholds."
    )
    rows_per_part: int = setting(
        10_000,
        "Most rows of a part on disk (rounded up to whole batches). What a job that was killed has"
        " to do again is a part at most; a local one closes a part after five seconds too.",
    )
    shard: str = setting(
        "",
        "i/n, such as 1/4: score this share of the rows only, for several processes or machines;"
        " --merge joins them.",
    )
    merge: bool = setting(False, "Join the n shards of --output in input order.")
    convert: str = setting(
        "",
        "Write what an annotation tool imports of the rows of the finished --output: fiftyone"
        " (OUTPUT.fiftyone.json) or label_studio (OUTPUT.label_studio.json, and .xml for its"
        " labeling interface).",
        ("", "fiftyone", "label_studio"),
    )
    send_uncertain: int = setting(
        0,
        "Write the so many images that are least certain, with boxes of where the network looked,"
        " as tasks for Label Studio: OUTPUT.uncertain.json, .xml, .labels.txt (0: none).",
    )
    uncertain_by: str = setting(
        "margin",
        "What --send_uncertain takes for certainty: margin (distance of a probability from another"
        " decision) or stability (of models that average views).",
        ("margin", "stability"),
    )
    image_prefix: str = setting(
        "",
        "With --convert=label_studio and --send_uncertain: what makes the URL of an image, before"
        " its path, such as /data/local-files/?d= or https://host/.",
    )
    max_error_share: float = setting(
        0.5,
        "Stop when more than this share of the images of a part fails, of at least 100 (a folder"
        " is not mounted); 1: never. The same command goes on.",
    )
    logits: bool = setting(False, "Write the logits too, in columns logit:<label>.")
    top_k: int = setting(
        0,
        "Write only the so many most probable labels, with their probabilities, in a column top,"
        " instead of a column per label (0: all labels).",
    )
    embeddings: bool = setting(
        False,
        "Write the pooled features too, in a column embedding; of a model that export_model.py"
        " wrote with --embeddings.",
    )
    heatmaps: str = setting(
        "none",
        "Where the network looked for each decided label: peaks (column peaks: peak, centroid and"
        " box in pixels of the image), and also PNG files in OUTPUT.heatmaps: maps (8 bits, the"
        " network's grid) or overlays (laid over the picture).",
        ("none", "peaks", "maps", "overlays"),
    )
    heatmap_labels: str = setting(
        "", "Labels to write heatmaps of, separated by commas (default: all)."
    )
    heatmap_margin: float = setting(
        0.0,
        "Write heatmaps only of uncertain images: those with a label of --heatmap_labels whose"
        " probability is at most this far from its threshold, and then of that label even if it"
        " was not decided (0: of all images).",
    )
    max_drift: float = setting(
        0.0,
        "End with exit code 4 when the scores are further from the reference than this: population"
        " stability index beyond that of chance, mean over labels (0: only report it).",
    )
    drift_reference: str = setting(
        "",
        "Finished output of this model from whose scores the drift is measured (default: those of"
        " validation images, which the model file holds).",
    )
    metrics_file: str = setting(
        "", "File of Prometheus metrics, replaced every five seconds while the job runs (.prom)."
    )
    metrics_port: int = setting(
        0, "Port on which the same metrics are served while the job runs, at /metrics (0: none)."
    )
    metrics_host: str = setting(
        THIS_HOST,
        "Address on which --metrics_port answers; 0.0.0.0 lets the whole network read the job's"
        " paths and progress.",
    )
    engine: str = setting(
        "local",
        "local, or ray: a pool of actors on a Ray cluster scores parts of --rows_per_part images;"
        " --output is then a folder (or a URL) of Parquet files in input order.",
        ENGINES,
    )
    ray_address: str = setting(
        "",
        "Address of the Ray cluster; auto: the one that was started on this machine (default:"
        " RAY_ADDRESS, else a new one on this machine).",
    )
    ray_actors: int = setting(2, "Most actors; each holds the network once.")
    ray_cpus_per_actor: float = setting(
        1.0, "CPU cores of an actor; it has as many decoders, and threads of its network."
    )
    ray_gpus_per_actor: float = setting(0.0, "GPUs of an actor; below 1: actors share one.")
    strict: bool = setting(
        False,
        "End with exit code 1 when an image got no scores (2: the flags are wrong; 3: the job could"
        " not run or stopped; 4: see --max_drift; 130: it was interrupted).",
    )
    describe: bool = setting(
        False, "Print what the model file says of itself, as JSON, and score nothing."
    )

    benchmark: bool = setting(
        False,
        "Measure a sample of --images: look for the best --batch_size and --decoders, time each"
        " step alone and all together, name the one that limits, and say how many decisions"
        " --fast_decode changes; write no scores.",
    )
    benchmark_images: int = setting(256, "Images of the sample of --benchmark.")
    memory_limit_mb: int = setting(
        0, "Most memory, in MiB, that --benchmark may try (0: half of this host's or container's)."
    )
    doctor: bool = setting(
        False,
        "Say what is installed, whether the GPU can be used (with --model: by opening it), and"
        " how to mend what is wrong; score nothing.",
    )

    def __post_init__(self) -> None:
        check_choices(self)
        check_jobs(self)
        check_needed(self, self._needed)
        check_finite(self)
        Shard.parse(self.shard)  # A fault of the flags, whatever the files are.
        DeviceChoice.parse(self.devices).check(self.providers)
        check_flags(self)

    @property
    def is_stream(self) -> bool:
        """Whether rows go to the standard output."""
        return self.output == STANDARD_OUTPUT

    @property
    def decoder_count(self) -> int:
        """Number of processes or threads that load images on this host."""
        return self.decoders or min(available_cores(), _MOST_DECODERS)

    @property
    def decoding_memory_bytes(self) -> int:
        """Bytes that images being decoded may take together in this process."""
        if self.decoding_memory_mb:
            return self.decoding_memory_mb * 2**20
        # The actors on a host share it.
        is_ray = self.engine == "ray"
        share = min(1.0, self.ray_cpus_per_actor / available_cores()) if is_ray else 1.0
        return int(available_memory() * share / 2)

    @property
    def read_limits(self) -> ReadLimits:
        """What reading one image may take."""
        return ReadLimits(
            self.read_seconds, self.read_retries, self.max_file_mb * 2**20, self.private_redirects
        )

    @property
    def _needed(self) -> tuple[str, ...]:
        if self.doctor:
            return ()
        if self.describe:
            return ("model",)
        if self.benchmark:
            return ("model", "images")
        return ("output",) if self.merge or self.convert else ("model", "images", "output")

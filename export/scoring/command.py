"""What score.py does, by its flags; each job is imported where it starts."""

import dataclasses
import json
from typing import TYPE_CHECKING

from export.scoring.config import ScoringConfig

if TYPE_CHECKING:
    from export.scoring.report import ScoringReport

DRIFTED = 4  # Exit code of a job whose scores are further from the reference than --max_drift.


def run_command(config: ScoringConfig) -> tuple[str, int]:
    """Runs the job of a config.

    Imports stand inside: the doctor answers where ONNX Runtime cannot be imported.

    Returns:
        The text to print and the exit code.
    """
    if config.doctor:
        from export.scoring.runtime.doctor import consult_doctor

        text, is_well = consult_doctor(config.model, config.providers, config.devices)
        return text, 0 if is_well else 1
    if config.describe:
        from export.scoring.describe import describe_model

        return json.dumps(describe_model(config.model), indent=1, ensure_ascii=False), 0
    if config.benchmark:
        from export.scoring.benchmark.measure import benchmark

        return str(benchmark(config)), 0
    if config.convert:
        from export.scoring.conversion import convert

        return str(convert(config)), 0
    report = _score(config)
    text = str(report)
    # Nothing was written where a job of new images found none.
    if config.send_uncertain and report.output:
        from export.scoring.send_uncertain import send_uncertain

        text = f"{text}\n{send_uncertain(config)}"
    if config.strict and report.errors:
        return text, 1
    return text, DRIFTED if report.has_drifted else 0


def _score(config: ScoringConfig) -> "ScoringReport":
    if config.merge:
        from export.scoring.drift.job_drift import report_merged_drift
        from export.scoring.engine.assembly import merge

        merged = merge(config.output, config.overwrite)
        return dataclasses.replace(merged, drift=report_merged_drift(config))
    if config.engine == "ray":
        from export.scoring.distributed.ray_engine import score_with_ray

        return score_with_ray(config)
    if config.retry_errors:
        from export.scoring.retry import retry_errors

        return retry_errors(config)
    if config.is_stream:
        from export.scoring.streaming import stream

        return stream(config)
    if config.only_new:
        from export.scoring.incremental.only_new import score_only_new

        return score_only_new(config)
    from export.scoring.job import score

    return score(config)

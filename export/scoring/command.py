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
    sent: list[str] = []

    def use_output() -> None:
        if config.send_uncertain:
            from export.scoring.send_uncertain import send_uncertain

            sent.append(str(send_uncertain(config)))

    if config.only_new:
        from export.scoring.incremental.only_new import score_only_new

        report = score_only_new(config, use_output)
    else:
        report = _score(config)
        use_output()
    text = "\n".join([str(report), *sent])
    if config.strict and report.errors:
        return text, 1
    return text, DRIFTED if report.has_drifted else 0


def _score(config: ScoringConfig) -> "ScoringReport":
    if config.merge:
        from export.scoring.drift.job_drift import open_merged_reference, report_drift
        from export.scoring.engine.assembly import merge

        reference = open_merged_reference(config)
        merged = merge(config.output, config.overwrite)
        drift = report_drift(config, reference) if config.model else None
        return dataclasses.replace(merged, drift=drift)
    if config.engine == "ray":
        from export.scoring.distributed.ray_engine import score_with_ray

        return score_with_ray(config)
    if config.retry_errors:
        from export.scoring.retry import retry_errors

        return retry_errors(config)
    if config.is_stream:
        from export.scoring.streaming import stream

        return stream(config)
    from export.scoring.job import score

    return score(config)

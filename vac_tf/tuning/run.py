"""What tune.py does in each of its modes."""

from collections.abc import Callable, Sequence

from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.tuning.settings import TuningConfig
from vac_tf.configs.tuning.sweep import Sweep
from vac_tf.tuning.batch_size import find_batch_size, format_batch_size
from vac_tf.tuning.range_test import format_range_test, run_range_test
from vac_tf.tuning.speed import format_speed, measure_speed
from vac_tf.tuning.sweep.run import Programs, run_sweep
from vac_tf.tuning.sweep.table import as_text


def tune(
    tuning: TuningConfig,
    training: TrainConfig,
    sweep: Sweep,
    program: Callable[[str], Sequence[str]],
) -> tuple[str, int]:
    """What was found, as lines for the terminal, and the exit code: 1 where a trial failed.

    Args:
        tuning: what is looked for.
        training: of which.
        sweep: what varies, in mode sweep.
        program: the command that starts a program by its name, without flags.

    Raises:
        ValueError: unusable settings, data or folder.
    """
    if tuning.mode == "sweep":
        programs = Programs(program("train"), program("evaluate"))
        result = run_sweep(tuning, training, sweep, programs)
        return as_text(result), 1 if result.failed else 0
    if tuning.mode == "batch_size":
        return format_batch_size(find_batch_size(tuning, training, program("tune"))), 0
    if tuning.mode == "speed":
        return format_speed(measure_speed(tuning, training)), 0
    return format_range_test(run_range_test(tuning, training), tuning.output_dir), 0

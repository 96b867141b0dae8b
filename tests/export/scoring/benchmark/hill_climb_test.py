"""The search for the best setting, on hosts that are formulas."""

import itertools

import numpy as np
import pytest

from export.scoring.benchmark.hill_climb import Setting, Trial, climb

MOST = Setting(64, 8)
GIB = 2**30


def hill(best, bytes_per_image=0):
    """A host that is fastest at `best`, and the more steps away the slower."""

    def measure(setting):
        measure.asked.append(setting)
        steps = abs(np.log2(setting.batch_size / best.batch_size))
        steps += abs(np.log2(setting.decoders / best.decoders))
        return Trial(1000.0 / (1.0 + steps), GIB + bytes_per_image * setting.batch_size)

    measure.asked = []
    return measure


@pytest.mark.parametrize("best", [(64, 8), (1, 1), (8, 2), (16, 8), (64, 1)])
@pytest.mark.parametrize("start", [(8, 2), (1, 8), (64, 8)])
def test_the_top_of_a_hill_is_found_and_nothing_is_tried_twice(best, start):
    measure = hill(Setting(*best))
    found, tried = climb(measure, Setting(*start), MOST, memory_limit=2 * GIB)
    assert found == Setting(*best)
    assert len(set(measure.asked)) == len(measure.asked) == len(tried)
    assert all(1 <= s.batch_size <= 64 and 1 <= s.decoders <= 8 for s in tried)


def test_gains_within_the_noise_do_not_move_the_setting():
    speeds = itertools.count(100)
    found, _ = climb(lambda s: Trial(next(speeds), 0), Setting(8, 2), MOST, memory_limit=GIB)
    assert found == Setting(8, 2)


def test_the_memory_limit_bounds_what_is_tried_and_chosen():
    measure = hill(MOST, bytes_per_image=2**24)
    limit = GIB + 20 * 2**24  # 16 images fit, 32 do not.
    found, tried = climb(measure, Setting(4, 8), MOST, limit)
    assert found == Setting(16, 8)
    assert all(s.batch_size <= 16 for s in tried)
    # From the start the growth is not known: what turns out too large is not chosen.
    found, tried = climb(hill(MOST, bytes_per_image=2**24), Setting(16, 8), MOST, limit)
    assert found == Setting(16, 8) and Setting(32, 8) in tried


def test_a_start_beyond_the_memory_limit_is_halved_until_it_fits():
    measure = hill(MOST, bytes_per_image=2**24)
    found, tried = climb(measure, Setting(64, 4), MOST, GIB + 20 * 2**24)
    assert found == Setting(16, 8)
    assert list(tried)[:3] == [Setting(64, 4), Setting(32, 4), Setting(16, 4)]
    assert all(trial.peak_bytes <= GIB + 20 * 2**24 for trial in list(tried.values())[2:])


def test_where_nothing_fits_the_smallest_is_found():
    found, _ = climb(hill(MOST), Setting(8, 4), MOST, memory_limit=GIB // 2)
    assert found == Setting(1, 1)

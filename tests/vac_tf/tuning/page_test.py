"""The commands of docs/tuning.md, word by word, on a few small scenes."""

import pytest

from tests.programs.documentation import TINY_SCENES, commands
from tests.programs.warm_start import start_warm

TINY = ("--batch_size=4", "--max_images=40", "--image_size=48", "--epochs=1", *TINY_SCENES)
SHORT = {"range_test": ("--range_steps=10",), "batch_size": ("--speed_steps=1",), "sweep": ()}


@pytest.mark.slow
@pytest.mark.timeout(1800)  # Nine programs are started.
def test_the_commands_of_the_page_find_what_it_says(tmp_path):
    found = {}
    for python, program, mode, *arguments in commands("docs/tuning.md"):
        assert (python, program) == ("python", "tune.py")
        name = mode.removeprefix("--mode=")
        done = start_warm(program, mode, *arguments, *TINY, *SHORT[name], folder=tmp_path)
        assert done.returncode == 0, done.stderr
        found[name] = done.stdout
    assert found.keys() == SHORT.keys()
    assert "10 steps" in found["range_test"]
    assert "Largest that fits: --batch_size=12" in found["batch_size"]
    assert "4 of 4 trials are finished." in found["sweep"]
    for name in ("rate/range_test.png", "batch/batch_size.csv", "sweep/sweep.html"):
        assert (tmp_path / "tuned" / name).exists()

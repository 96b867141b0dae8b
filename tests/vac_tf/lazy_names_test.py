"""The names of `import vac_tf`: all there, and none of them loaded before it is used."""

import subprocess
import sys

import pytest

import vac_tf
from tools.python_imports import REPOSITORY


@pytest.mark.parametrize("name", vac_tf.__all__)
def test_every_name_is_defined_where_the_table_says(name):
    value = getattr(vac_tf, name)
    assert value.__name__ == name
    assert value.__doc__


def test_names_are_offered_in_order():
    assert list(vac_tf.__all__) == sorted(vac_tf.__all__)
    assert set(vac_tf.__all__) <= set(dir(vac_tf))


def test_an_unknown_name_is_told_the_known_ones():
    with pytest.raises(AttributeError, match="'lode'.*read_split"):
        _ = vac_tf.lode
    assert not hasattr(vac_tf, "lode")


def test_importing_the_library_loads_nothing():
    source = "import sys, vac_tf; dir(vac_tf)\n"
    source += "print({'tensorflow', 'keras', 'numpy', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("set()\n", "")

"""Pages: names are shown as they are, nothing is loaded from elsewhere, files are whole."""

import base64
import io
import re

import jinja2
import numpy as np
import pytest
from markupsafe import escape
from PIL import Image

from vac_tf.pages.inline_pictures import jpeg_address, png_address
from vac_tf.pages.rendering import (
    by_words,
    count,
    number,
    percent,
    render,
    whole_flags,
    write_page,
)

NAMES = ["<script>alert(1)</script>", "\"quoted\" & 'single'", "כלב", "🐕 dog", "</script>"]
TEMPLATE = """{% extends "base.html" %}{% import "parts.html" as parts %}
{% block title %}{{ title }}{% endblock %}
{% block contents %}{{ parts.contents([("one", title)]) }}{% endblock %}
{% block content %}{% call parts.section("one", title, "why?") %}
{{ parts.table("all of them", ["name", "n"], names, sortable=true) }}
{{ parts.figure(picture, title) }}{{ parts.left_out(title) }}
<dl>{{ parts.big_number(title, "1.0", [title]) }}</dl>
{% endcall %}{% endblock %}
{% block script %}const names = {{ names | tojson }};{% endblock %}
"""


@pytest.fixture
def rendered(tmp_path):
    (tmp_path / "some.html").write_text(TEMPLATE)
    rows = [[name, "1"] for name in NAMES]
    values = {"title": NAMES[0], "names": rows, "picture": jpeg_address(np.zeros((4, 4, 3)))}
    return render("some.html", str(tmp_path), **values)


def test_names_are_shown_as_they_are(rendered):
    assert rendered.count("<script>") == 1 == rendered.count("</script>")
    assert "<bdi>&lt;script&gt;alert(1)&lt;/script&gt;</bdi>" in rendered
    assert "<bdi>&#34;quoted&#34; &amp; &#39;single&#39;</bdi>" in rendered
    assert "<bdi>כלב</bdi>" in rendered and "<bdi>🐕 dog</bdi>" in rendered


def test_a_page_loads_nothing(rendered):
    addresses = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", rendered)
    assert addresses
    assert [text for text in addresses if not text.startswith(("#", "data:image/"))] == []


def test_a_value_that_is_not_given_is_an_error(tmp_path):
    (tmp_path / "some.html").write_text("{{ absent }}")
    with pytest.raises(jinja2.UndefinedError, match="absent"):
        render("some.html", str(tmp_path))


def test_what_is_no_number_is_no_data(tmp_path):
    (tmp_path / "some.html").write_text("{{ value | tojson }}")
    with pytest.raises(ValueError, match="JSON compliant"):
        render("some.html", str(tmp_path), value=float("nan"))


def test_a_file_name_that_is_no_text_does_not_stop_the_page(tmp_path):
    write_page(str(tmp_path / "page.html"), "a\udcff.jpg")
    assert (tmp_path / "page.html").read_text() == "a?.jpg"
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_pictures_lie_in_the_page():
    pixels = np.zeros((40, 80, 3))
    pixels[..., 0] = 255.4
    for address, kind in ((png_address(pixels), "PNG"), (jpeg_address(pixels, 20), "JPEG")):
        picture = Image.open(io.BytesIO(base64.b64decode(address.split("base64,")[1])))
        assert picture.format == kind
        assert picture.size == ((80, 40) if kind == "PNG" else (20, 10))
        assert np.abs(np.asarray(picture, int) - [255, 0, 0]).max() <= 2


def test_names_break_between_words_and_commands_before_flags():
    assert by_words("lowerBodyBlue/a_b<c>") == "lower<wbr>Body<wbr>Blue/<wbr>a_<wbr>b&lt;c&gt;"
    for name in NAMES:
        assert by_words(name).replace("<wbr>", "") == escape(name)
    command = "python train.py --data_dir='a --b' --ema=0.9 <x>"
    shown = whole_flags(command)
    assert '<span class="whole">--ema=0.9</span> &lt;x&gt;' in shown
    assert re.sub("</?span[^>]*>", "", shown) == escape(command)


def test_numbers_as_text():
    assert [percent(0.1234), percent(None), percent(1.0, 0)] == ["12.3", "–", "100"]
    assert [number(0.012345), number(None)] == ["0.0123", "–"]
    assert [number(-1759.6), number(0), number(3e12)] == ["-1\u202f760", "0", "3e+12"]
    assert count(1234567) == "1\u202f234\u202f567"

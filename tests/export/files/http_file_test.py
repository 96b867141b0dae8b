"""Which redirects of a server are followed."""

import io
import socket

import pytest

from export.files import http_file
from export.files.read_limits import ReadLimits

ADDRESSES = {"photos.example": "93.184.216.34", "cdn.example": "2606:2800:220:1::1"}
ADDRESSES |= {"inside.example": "10.0.0.7", "local.example": "fe80::1%eth0"}


class Response(io.BytesIO):
    def __init__(self, location):
        super().__init__(b"" if location else b"image")
        self.location = location
        self.status, self.headers = 200, {}

    def get_redirect_location(self):
        return self.location


@pytest.fixture
def redirect(monkeypatch):
    """Reads a URL whose server redirects to another."""

    def lookup(host, *_, **__):
        return [(0, 0, 0, "", (ADDRESSES.get(host, host), 0))]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)

    def read(url, location, **limits):
        answers = [Response(location), Response(None)]
        monkeypatch.setattr(http_file, "_request", lambda *_: answers.pop(0))
        return http_file.read_http(url, ReadLimits(**limits))

    return read


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("http://photos.example/a", "https://photos.example/a"),
        ("https://photos.example/a", "https://cdn.example/a"),
        ("http://inside.example/a", "/b"),  # The host that was asked for may be private.
        ("http://inside.example/a", "http://93.184.216.34/a"),
    ],
)
def test_redirects_to_public_addresses_are_followed(redirect, url, location):
    assert redirect(url, location) == b"image"


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://cdn.example/a", "From https only https is followed"),
        ("file:///etc/passwd", "From https only https is followed"),
        ("ftp://cdn.example/a", "From https only https is followed"),
        ("https://inside.example/a", "not a public address"),
        ("https://local.example/a", "not a public address"),
        ("https://127.0.0.1/a", "not a public address"),
        ("https://169.254.169.254/a", "not a public address"),
        ("https://0.0.0.0/a", "not a public address"),
        ("https://[::1]/a", "not a public address"),
        # Some read a host behind the @, but it is asked for before the backslash.
        ("https://127.0.0.1\\@cdn.example/a", "not a public address"),
    ],
)
def test_other_redirects_are_refused(redirect, location, reason):
    with pytest.raises(ValueError, match=reason):
        redirect("https://photos.example/a", location)


def test_private_addresses_are_followed_where_that_is_allowed(redirect):
    url, location = "https://photos.example/a", "https://inside.example/a"
    assert redirect(url, location, private_redirects=True) == b"image"

"""Files by http and https, through urllib3; redirects are followed by rules."""

import contextlib
import functools
import ipaddress
import socket
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

from export.files.read_limits import FileTooLargeError, ReadLimits

_MOST_REDIRECTS = 5
_MISSING = (404, 410)
_WORTH_ANOTHER_ATTEMPT = (408, 425, 429)  # And every error of the server.
_CHUNK_BYTES = 1 << 16


def is_http(url: str) -> bool:
    """Whether this module reads a URL."""
    return url.startswith(("http://", "https://"))


def read_http(url: str, limits: ReadLimits) -> bytes:
    """The bytes of a file, of one attempt.

    Raises:
        FileTooLargeError: it is larger than the limit.
        TimeoutError: it takes longer than the limit.
        FileNotFoundError, PermissionError, ValueError, OSError: as `open_http`.
    """
    end = time.monotonic() + limits.seconds
    with open_http(url, limits) as response:
        declared = int(response.headers.get("Content-Length") or 0)
        chunks, size = [], 0
        while declared <= limits.most_bytes and (chunk := response.read1(_CHUNK_BYTES)):
            chunks.append(chunk)
            size += len(chunk)
            if size > limits.most_bytes:
                break
            if time.monotonic() > end:  # A server that sends byte after byte.
                raise TimeoutError("the file did not end")
    if max(declared, size) > limits.most_bytes:
        raise FileTooLargeError(url, limits)
    if size < declared:
        raise OSError(f"it ends after {size} of {declared} bytes")
    return b"".join(chunks)


@contextlib.contextmanager
def open_http(url: str, limits: ReadLimits) -> Iterator[Any]:
    """The answer of the server, behind redirects, as a file.

    Redirects are followed to http and https only, not from https to http, and not to another host
    with an address that is not public, unless the limits say so: a server outside would choose
    what is read from this network. (A name that answers with one address now and with another at
    once after can still lead there: a firewall is the place to prevent that.)

    Args:
        url: The file.
        limits: Their `seconds` are the most that each step may take.

    Raises:
        FileNotFoundError: the server does not know it.
        PermissionError: the server refuses it.
        ValueError: a redirect is refused, or urllib3 is missing.
        OSError: anything that another attempt may change.
    """
    urllib3 = import_urllib3()
    try:
        for _ in range(_MOST_REDIRECTS + 1):
            with _request(url, limits.seconds) as response:
                location = response.get_redirect_location()
                if not location:
                    _check_status(response.status)
                    yield response
                    return
            url = _checked_redirect(url, location, limits.private_redirects)
    except urllib3.exceptions.LocationValueError as error:
        raise ValueError(f"it is no URL: {error}") from error
    except urllib3.exceptions.TimeoutError as error:
        raise TimeoutError(str(error)) from error
    except urllib3.exceptions.HTTPError as error:
        raise OSError(str(error)) from error
    raise ValueError(f"more than {_MOST_REDIRECTS} redirects, the last to {url!r}.")


def _request(url: str, seconds: float) -> Any:
    urllib3 = import_urllib3()
    user = urllib3.util.parse_url(url).auth
    headers = urllib3.make_headers(basic_auth=urllib.parse.unquote(user) if user else None)
    return _pool().request(
        "GET",
        url,
        headers=headers | {"Accept-Encoding": "identity"},
        timeout=urllib3.Timeout(connect=seconds, read=seconds),
        retries=False,
        redirect=False,
        preload_content=False,
    )


def _check_status(status: int) -> None:
    if status in _MISSING:
        raise FileNotFoundError(f"the server answers {status}")
    if status >= 500 or status in _WORTH_ANOTHER_ATTEMPT:
        raise OSError(f"the server answers {status}")
    if status >= 300:
        raise PermissionError(f"the server answers {status}")


def _checked_redirect(url: str, location: str, private_redirects: bool) -> str:
    target = urllib.parse.urljoin(url, location)
    # As urllib3 reads them, which asks for the file: to urllib the host of http://a\@b/ is b.
    old, new = map(import_urllib3().util.parse_url, (url, target))
    if new.scheme not in ("http", "https") or (old.scheme, new.scheme) == ("https", "http"):
        raise ValueError(
            f"it redirects to {target!r}. From https only https is followed, from http both."
        )
    if not private_redirects and new.netloc != old.netloc and not is_public(new.host):
        raise ValueError(
            f"it redirects to {target!r}, which is not a public address. If it is meant to, allow"
            " it with --private_redirects."
        )
    return target


def host_of(url: str) -> str:
    """The host of a URL in lower case, as urllib3 reads it, which asks for the file.

    Raises:
        ValueError: for what is no URL, or where urllib3 is missing.
    """
    return (import_urllib3().util.parse_url(url).host or "").lower()


def is_public(host: str | None) -> bool:
    """Whether all addresses of a host are public; OSError where it is not known."""
    found = socket.getaddrinfo((host or "").strip("[]"), None, type=socket.SOCK_STREAM)
    addresses = {ipaddress.ip_address(entry[4][0].partition("%")[0]) for entry in found}
    return all(address.is_global and not address.is_multicast for address in addresses)


@functools.cache
def _pool() -> Any:
    # Connections are kept, one per decoder at most, for the next file of the same server.
    return import_urllib3().PoolManager(maxsize=16)


def import_urllib3() -> Any:
    """The package urllib3, imported where it is needed; ValueError when it is not installed."""
    try:
        import urllib3
    except ImportError as error:
        raise ValueError(
            f"http and https need urllib3 ({error}). Install it: pip install urllib3."
        ) from error
    return urllib3

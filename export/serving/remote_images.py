"""From where a server may fetch images: its clients choose the URLs, so the hosts must be known."""

import dataclasses

from export.files.http_file import host_of, is_http, is_public
from export.images.image_header import ImageError

ANY_PUBLIC = "*"


@dataclasses.dataclass(frozen=True)
class UrlRules:
    """Hosts from which images may be fetched.

    Redirects follow the rules of `export.files.http_file.open_http`: to other hosts only where
    their addresses are public.
    """

    hosts: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> "UrlRules":
        """Reads names separated by commas; `*` stands for every host with a public address."""
        return cls(frozenset(name.strip().lower() for name in text.split(",") if name.strip()))

    def check(self, url: str) -> None:
        """Looks up the host where `*` is allowed, which may take a while.

        Raises:
            ImageError: `bad_row` for a URL that is none, or is not allowed.
        """
        if not self.hosts:
            raise ImageError("bad_row", "This server fetches no URLs (--url_hosts).")
        try:
            host = host_of(url) if is_http(url) else ""
        except ValueError as error:
            raise ImageError("bad_row", f"{url!r} is no URL: {error}.") from error
        if not host:
            raise ImageError("bad_row", f"{url!r} is no URL of http or https.")
        if host in self.hosts:
            return
        if ANY_PUBLIC not in self.hosts:
            raise ImageError("bad_row", f"This server fetches nothing from {host!r} (--url_hosts).")
        try:
            allowed = is_public(host)
        except OSError as error:
            raise ImageError("unreadable", f"The host {host!r} is not known: {error}.") from error
        if not allowed:
            raise ImageError("bad_row", f"{host!r} has no public address (--url_hosts).")

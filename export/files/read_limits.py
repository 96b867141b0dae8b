"""What reading one file may take."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class ReadLimits:
    """Limits of reading one file, by URL or (of its size) by path.

    Attributes:
        seconds: Most time of one attempt.
        retries: Attempts after the first, with pauses that double.
        most_bytes: Size above which a file is refused.
        private_redirects: Whether an HTTP server may redirect to addresses that are not public.
    """

    seconds: float = 60.0
    retries: int = 2
    most_bytes: int = 1 << 30
    private_redirects: bool = False


DEFAULT_LIMITS = ReadLimits()


class FileTooLargeError(ValueError):
    """A file above the limit of its size."""

    def __init__(self, path: str, limits: ReadLimits):
        super().__init__(
            f"{path!r} has more than {limits.most_bytes} bytes, the limit of --max_file_mb."
        )

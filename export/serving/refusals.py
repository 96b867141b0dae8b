"""Requests that get no scores: the code of the answer, a word for programs, a sentence."""

from collections.abc import Mapping, Sequence

# Status of a row -> code of a request that has no better row; others are 422.
_CODES = {"unsupported": 415, "too_large": 413, "out_of_memory": 413, "not_finite": 500}


class Refusal(Exception):
    """A request that is refused as a whole.

    Attributes:
        code: Of the HTTP answer.
        status: Why, in one word, as the column `status` of the scorer has them.
        headers: Of the answer.
    """

    def __init__(
        self, code: int, status: str, message: str, headers: Mapping[str, str] | None = None
    ):
        super().__init__(message)
        self.code = code
        self.status = status
        self.headers = dict(headers or {})


def busy(message: str, seconds: int) -> Refusal:
    """429: the server has enough to do for so many seconds."""
    return Refusal(429, "busy", message, {"Retry-After": str(seconds)})


def too_many(most_images: int) -> Refusal:
    """413: more images than one request may have."""
    message = f"The request has more than {most_images} images (--max_images)."
    return Refusal(413, "too_many", message)


def code_of(statuses: Sequence[str]) -> int:
    """Code of an answer with rows of these statuses: 200 where any image has scores."""
    return 200 if "ok" in statuses else _CODES.get(statuses[0], 422)

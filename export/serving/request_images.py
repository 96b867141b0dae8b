"""The images of a request's body: one as it is, several as multipart, or JSON."""

import base64
import binascii
import math
from collections.abc import AsyncGenerator, Mapping

import pydantic
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from export.scoring.sources.input import ScoringInput
from export.serving.refusals import Refusal, too_many

JSON_TYPE = "application/json"
MULTIPART_TYPE = "multipart/form-data"
_MOST_FIELDS = 16  # Others than files: they are not looked at.
_MOST_COMMAS = 250  # Of an image: those of its box, and of a strange name. Base64 has none.


class JsonImage(pydantic.BaseModel):
    """One image: `b64` or `url`, not both."""

    model_config = pydantic.ConfigDict(extra="forbid")

    b64: str | None = pydantic.Field(None, description="The encoded image in Base64.")
    url: str | None = pydantic.Field(
        None, description="Where to fetch it, of a host that the server's --url_hosts names."
    )
    name: str | None = pydantic.Field(None, description="Comes back as `image` in its result.")
    box: tuple[float, float, float, float] | None = pydantic.Field(
        None, description="x, y, width, height in pixels of what to look at; without: all of it."
    )


class JsonImages(pydantic.BaseModel):
    """Images as JSON."""

    model_config = pydantic.ConfigDict(extra="forbid")

    images: list[JsonImage] = pydantic.Field(min_length=1)


# What the body may be, for the OpenAPI page: FastAPI does not see that a body is read in parts.
REQUEST_BODY = {
    "required": True,
    "content": {
        "image/*": {"schema": {"type": "string", "format": "binary"}},
        MULTIPART_TYPE: {
            "schema": {
                "type": "object",
                "properties": {
                    "images": {
                        "type": "array",
                        "items": {"type": "string", "format": "binary"},
                        "description": "One file or several, under any field names.",
                    }
                },
            }
        },
        JSON_TYPE: {"schema": JsonImages.model_json_schema()},
    },
}


def media_type(headers: Mapping[str, str]) -> str:
    """The type that a request gives its body, in lower case and without parameters."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def read_raw(body: bytes) -> list[ScoringInput]:
    """A body that is one image, whatever type it is said to have: its first bytes count."""
    return [ScoringInput("", "", data=body)]


async def read_multipart(headers: Headers, body: bytes, most_images: int) -> list[ScoringInput]:
    """The files of a form, whatever their fields are called; `image` is the name of the file.

    Raises:
        Refusal: 422 for what is no whole form, or one without a file; 413 for one with too many.
    """
    parser = _FormParser(headers, _whole(body), max_files=most_images, max_fields=_MOST_FIELDS)
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError) as error:
        if "Too many files" in str(error):
            raise too_many(most_images) from error
        raise _bad_request(f"The body is no multipart form of files: {error}") from error
    if not parser.has_ended:
        raise _bad_request("The form breaks off: its last boundary is missing.")
    files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
    images = [ScoringInput(file.filename or "", "", data=await file.read()) for file in files]
    if not images:
        raise _bad_request("The form has no file. Expected one image per file.")
    return images


def read_json(body: bytes, most_images: int) -> list[ScoringInput]:
    """The images of a body that is `JsonImages`; one that is wrong in itself has its problem.

    Raises:
        Refusal: 422 for any other body; 413 for one with many more parts than so many images have,
            before they are objects: in a body of commas these are a hundred times as large.
    """
    if body.count(b",") > _MOST_COMMAS * (most_images + 1):
        raise too_many(most_images)
    try:
        images = JsonImages.model_validate_json(body).images
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the body"
        raise _bad_request(
            f"{place}: {first['msg']}. Expected"
            ' {"images": [{"b64": "...", "name": "a.jpg", "box": [x, y, w, h]}, ...]}.'
        ) from error
    return [_scoring_input(image) for image in images]


def _scoring_input(image: JsonImage) -> ScoringInput:
    name = image.name or image.url or ""
    box = image.box
    if box is not None and not all(map(math.isfinite, box)):
        return ScoringInput(name, "", problem=f"box is {list(box)}, expected finite numbers.")
    if (image.b64 is None) == (image.url is None):
        return ScoringInput(name, "", problem="Expected either b64 or url.")
    if image.url is not None:
        return ScoringInput(name, image.url, box)
    try:
        return ScoringInput(name, "", box, data=base64.b64decode(image.b64, validate=True))
    except (binascii.Error, ValueError) as error:
        return ScoringInput(name, "", problem=f"b64 is no Base64: {error}.")


def _bad_request(message: str) -> Refusal:
    return Refusal(422, "bad_request", message)


async def _whole(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body


class _FormParser(MultiPartParser):
    # The body is in memory already, and within the limits.
    spool_max_size = 1 << 62
    has_ended = False

    def on_end(self) -> None:
        """Called at the last boundary."""
        self.has_ended = True

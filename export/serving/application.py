"""The HTTP interface: what each path answers."""

import asyncio
import time
from http import HTTPStatus
from typing import Annotated, Any

import fastapi
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute

from export.scoring.runtime.network_devices import DeviceError
from export.scoring.sources.input import ScoringInput
from export.serving.answers import Answer, Heatmaps, Refused, keep_top
from export.serving.config import ServingConfig
from export.serving.image_scorer import ImageScorer
from export.serving.metrics import ServingMetrics
from export.serving.refusals import Refusal, code_of
from export.serving.request_body import BodyMemory, BodyReader
from export.serving.request_images import (
    JSON_TYPE,
    MULTIPART_TYPE,
    REQUEST_BODY,
    media_type,
    read_json,
    read_multipart,
    read_raw,
)

_ABOUT = """\
Send an image as the body of `POST /score`, several as `multipart/form-data`, or JSON with Base64.
Every image gets one result, in order. An answer has the code 200 where any of its images has
scores; otherwise that of its first image, whose status and error say why.
"""
_GIVEN_UP = "The server was told to stop, and this request outlasted --stop_seconds."
_TOP_K = "How many labels `probabilities` holds, the most probable first; 0: all, in their order."


class ServerState:
    """What requests need to know of the server as a whole.

    Attributes:
        is_draining: Whether it is about to stop: answers then close their connections.
    """

    def __init__(self):
        self.is_draining = False


def make_application(
    config: ServingConfig, scorer: ImageScorer, metrics: ServingMetrics, state: ServerState
) -> fastapi.FastAPI:
    """The application of a server that has started its scorer."""
    app = fastapi.FastAPI(title="Image scores", description=_ABOUT, redoc_url=None)
    app.add_middleware(_Observed, metrics=metrics, state=state)
    _add_error_handlers(app, metrics)
    _add_health(app, scorer, metrics, state)
    _add_model(app, scorer)
    memory = BodyMemory(config.queue_mb * 2**20)
    metrics.watch_bodies(lambda: memory.held)
    reader = BodyReader(config.body_bytes, config.request_seconds, memory)

    refusals = {code: {"model": Refused} for code in (408, 429, 503)}
    failed = {code: {"model": Answer | Refused} for code in (413, 415, 422, 500)}

    @app.post(
        "/score",
        response_model=Answer,
        response_model_exclude_none=True,
        responses=refusals | failed,
        openapi_extra={"requestBody": REQUEST_BODY},
    )
    async def score(
        request: fastapi.Request,
        heatmaps: Heatmaps = "none",
        top_k: Annotated[int, fastapi.Query(ge=0, description=_TOP_K)] = 0,
    ) -> Response:
        """Probabilities and decided labels of images, on request with their heatmaps."""
        if unknown := sorted(set(request.query_params) - {"heatmaps", "top_k"}):
            raise Refusal(422, "bad_request", f"{unknown[0]}: expected heatmaps or top_k.")
        if heatmaps != "none" and not scorer.has_heatmaps:
            raise Refusal(422, "no_heatmaps", "The model has no output of heatmaps.")
        scorer.check_room()  # Before its body is read.
        try:
            with reader.counting() as counted:
                body = await reader.read(request, counted)
                inputs = await _read_images(request, body, config.max_images)
                del body
                results = await scorer.score(inputs, heatmaps)
        except asyncio.CancelledError:
            if not state.is_draining:
                raise
            raise Refusal(503, "draining", _GIVEN_UP) from None
        if top_k:
            keep_top(results, top_k)
        code = code_of([result["status"] for result in results])
        return JSONResponse({"results": results}, code)

    _add_heads(app)
    return app


def _add_heads(app: fastapi.FastAPI) -> None:
    """What answers GET answers HEAD too, as load balancers ask; the server sends no body then."""
    for route in list(app.routes):
        if isinstance(route, APIRoute) and route.methods == {"GET"}:
            app.add_api_route(route.path, route.endpoint, methods=["HEAD"], include_in_schema=False)


async def _read_images(
    request: fastapi.Request, body: bytes, most_images: int
) -> list[ScoringInput]:
    kind = media_type(request.headers)
    if kind == MULTIPART_TYPE:
        return await read_multipart(request.headers, body, most_images)
    if kind == JSON_TYPE:
        # Base64 of many megabytes: other requests do not wait for it.
        return await asyncio.to_thread(read_json, body, most_images)
    return read_raw(body)


def _add_model(app: fastapi.FastAPI, scorer: ImageScorer) -> None:
    @app.get("/model")
    async def model() -> dict[str, Any]:
        """Labels, thresholds and image size of the model."""
        size = scorer.description.preprocessing
        groups = scorer.description.to_json().get("label_groups")
        return {
            "sha256": scorer.sha256,
            "labels": list(scorer.description.label_names),
            "thresholds": scorer.thresholds.astype(str).astype(float).tolist(),
            **({"label_groups": groups} if groups else {}),
            **({"tta": list(scorer.description.tta)} if scorer.description.tta else {}),
            "input_size": [size.height, size.width],
            "precision": scorer.description.precision,
            "has_heatmaps": scorer.has_heatmaps,
        }


def _add_health(
    app: fastapi.FastAPI, scorer: ImageScorer, metrics: ServingMetrics, state: ServerState
) -> None:
    @app.get("/healthz", responses={503: {"model": Refused}})
    async def healthz() -> dict[str, str]:
        """Whether the network can be computed: if not, the process should be started again."""
        if not scorer.is_well:
            raise Refusal(503, "device_error", "The newest batch could not be computed.")
        return {"status": "ok"}

    @app.get("/readyz", responses={503: {"model": Refused}})
    async def readyz() -> dict[str, str]:
        """Whether new requests are welcome: no more once the server is told to stop."""
        if state.is_draining:
            raise Refusal(503, "draining", "The server is about to stop.")
        return {"status": "ok"}

    @app.get("/metrics", response_class=Response)
    async def show_metrics() -> Response:
        """Metrics in Prometheus' text format."""
        return Response(metrics.text(), media_type=metrics.content_type)


def _add_error_handlers(app: fastapi.FastAPI, metrics: ServingMetrics) -> None:
    def refuse(code: int, status: str, message: str, headers=None) -> Response:
        metrics.count_refusal(status)
        return JSONResponse({"status": status, "error": message}, code, headers)

    @app.exception_handler(Refusal)
    async def refused(request: fastapi.Request, error: Refusal) -> Response:
        return refuse(error.code, error.status, str(error), error.headers)

    @app.exception_handler(DeviceError)
    async def failed(request: fastapi.Request, error: DeviceError) -> Response:
        return refuse(503, "device_error", str(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: fastapi.Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return refuse(422, "bad_request", f"{first['loc'][-1]}: {first['msg']}.")


class _Observed:
    """Times every request; while the server drains, answers close their connections.

    Args:
        app: What answers.
        metrics: Told of each answer.
        state: The server's.
    """

    def __init__(self, app, metrics: ServingMetrics, state: ServerState):
        self._app = app
        self._metrics = metrics
        self._state = state

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, code = time.monotonic(), HTTPStatus.INTERNAL_SERVER_ERROR

        async def send_on(message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
                if self._state.is_draining:
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        finally:
            seconds = time.monotonic() - start
            self._metrics.observe_request(scope["path"], int(code), seconds)

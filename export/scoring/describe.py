"""What a model file says of itself."""

from typing import Any

from export.scoring.runtime.session import NetworkSession


def describe_model(path: str) -> dict[str, Any]:
    """All that a model file says of itself, with its hash and its declared shapes.

    Raises:
        ValueError: as NetworkSession.
    """
    session = NetworkSession(path, "cpu")
    described = session.description.to_json()
    if session.description.reference:
        described["reference"] = {"images": session.description.reference.images}
    return {
        "file": path,
        "sha256": session.sha256,
        **described,
        "inputs": session.input_shapes,
        "outputs": session.output_shapes,
    }

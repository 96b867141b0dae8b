"""Proof of where a network's convolutions run."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from export.scoring.runtime.host_facts import CPU
from export.scoring.runtime.providers import ProviderError

# The option that makes a session remember where each node went.
RECORD_PLACEMENT = "session.record_ep_graph_assignment_info"


def read_placement(session: Any) -> list[tuple[str, str]]:
    """Provider and operator of each node of an `onnxruntime.InferenceSession`.

    The session must have been opened with `RECORD_PLACEMENT` = "1".
    """
    return [
        (subgraph.ep_name, node.op_type)
        for subgraph in session.get_provider_graph_assignment_info()
        for node in subgraph.get_nodes()
    ]


def count_convolutions(nodes: Iterable[tuple[str, str]]) -> Counter[str]:
    """Number of convolutions by provider; of all nodes, for a network without convolutions."""
    nodes = list(nodes)
    # Conv, ConvTranspose, FusedConv, NhwcConv, QLinearConv, ConvInteger.
    convolutions = Counter(provider for provider, operator in nodes if "Conv" in operator)
    return convolutions or Counter(provider for provider, _ in nodes)


def describe_placement(counts: Counter[str]) -> str:
    """Such as `53 of 53 convolutions on CUDAExecutionProvider`."""
    total = sum(counts.values())
    parts = (f"{count} of {total} convolutions on {name}" for name, count in counts.most_common())
    return ", ".join(parts)


def check_placement(wanted: Sequence[str], counts: Counter[str]) -> None:
    """Checks that a GPU computes all convolutions.

    Args:
        wanted: The providers that the session was opened with, best first.
        counts: What `count_convolutions` gives.

    Raises:
        ProviderError: when one runs on the CPU, or none on the first provider.
    """
    if wanted[0] == CPU or (counts[wanted[0]] and not counts[CPU]):
        return
    raise ProviderError(
        f"{wanted[0]} opens the model, but does not compute it: {describe_placement(counts)}. The"
        " provider has no kernel for them: an INT8 file with operators of its own, or a precision"
        " that this GPU lacks. Mend: score the FP32 or FP16 file, or use --providers=cpu."
    )

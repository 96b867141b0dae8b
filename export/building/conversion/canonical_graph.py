"""One form for all graphs that compute the same: so the same run gives the same bytes.

The conversion from TensorFlow walks through sets of objects, whose order changes from process to
process: the order of weights and nodes, the operands of a sum, the numbers in names, and which of
two equal weights stays.
"""

import hashlib
import re

import onnx

_COMMUTATIVE = ("Add", "Mul", "Max", "Min", "Sum")
_COUNTER = re.compile(r"__\d+")  # What tf2onnx adds to the names of the nodes that it makes.


def make_canonical(model: onnx.ModelProto) -> None:
    """Brings nodes, weights, operands and names of a graph into an order that follows from it.

    Nodes stand in the order in which the outputs need them, and each has a name of its own; a
    weight is named for the first node that uses it. Names of inputs and outputs stay. In place.

    Args:
        model: A graph without subgraphs, whose equal weights may be joined or not.
    """
    graph = model.graph
    graph.doc_string = ""  # tf2onnx writes the name of a function there, with its number.
    del graph.value_info[:]  # Names and shapes of inner tensors, which ONNX infers.
    keys = _keys(graph)
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in _in_order(graph)]
    del graph.node[:]
    graph.node.extend(nodes)
    _rename(graph, keys)


def _keys(graph: onnx.GraphProto) -> dict[str, str]:
    """For each tensor a hash of how it is computed.

    Sorts the operands where their order does not matter, and lets equal nodes be one.
    """
    weights = {tensor.name: _weight_key(tensor) for tensor in graph.initializer}
    keys = {value.name: value.name for value in graph.input} | weights
    outputs = {value.name for value in graph.output}
    twins: dict[str, str] = {}  # Tensor -> the equal one that stays.
    first: dict[str, onnx.NodeProto] = {}
    for node in graph.node:
        operands = [twins.get(name, name) for name in node.input]
        if node.op_type in _COMMUTATIVE:
            # Weights last, where ONNX Runtime's fusions look for them.
            operands.sort(key=lambda name: (name in weights, keys[name]))
        del node.input[:]
        node.input.extend(operands)
        key = _node_key(node, keys)
        keys |= {name: f"{key}/{index}" for index, name in enumerate(node.output) if name}
        kept = first.setdefault(key, node)
        if kept is not node and outputs.isdisjoint(node.output):
            twins |= dict(zip(node.output, kept.output, strict=True))
    return keys


def _weight_key(tensor: onnx.TensorProto) -> str:
    content = onnx.TensorProto()
    content.CopyFrom(tensor)
    content.ClearField("name")
    content.ClearField("doc_string")
    return _hash(content.SerializeToString(deterministic=True))


def _node_key(node: onnx.NodeProto, keys: dict[str, str]) -> str:
    """Hash of an operator, its attributes, which are sorted, and how its operands are computed."""
    attributes = sorted(node.attribute, key=lambda attribute: attribute.name)
    copies = [onnx.AttributeProto.FromString(value.SerializeToString()) for value in attributes]
    del node.attribute[:]
    node.attribute.extend(copies)
    operator = f"{node.domain} {node.op_type} {len(node.output)}".encode()
    operands = [keys.get(name, "").encode() for name in node.input]
    texts = [value.SerializeToString(deterministic=True) for value in copies]
    return _hash(operator, *texts, *operands)


def _hash(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


def _in_order(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes, each behind those that it needs, from the first output to the last."""
    # An output that is left out has the name "", as an input that is left out.
    makers = {name: node for node in graph.node for name in node.output if name}
    ordered, placed = [], set()
    # A stack instead of recursion: the networks are deeper than Python's.
    waiting = [(value.name, False) for value in reversed(graph.output)]
    while waiting:
        name, is_ready = waiting.pop()
        node = makers.get(name)
        if node is None or node.output[0] in placed:
            continue
        if is_ready:
            placed.add(node.output[0])
            ordered.append(node)
        else:
            waiting.append((name, True))
            waiting.extend((operand, False) for operand in reversed(node.input))
    return ordered


def _rename(graph: onnx.GraphProto, keys: dict[str, str]) -> None:
    """Names nodes, tensors and weights by their place; of equal weights one stays."""
    new_names = {value.name: value.name for value in (*graph.input, *graph.output)}
    weights = {tensor.name: tensor for tensor in graph.initializer}
    kept: dict[str, onnx.TensorProto] = {}
    taken: set[str] = set()
    # Two streams normalise the images alike: that either's nodes stay is an accident.
    shared = {value.name for value in graph.input} | {""} | set(weights)
    for node in graph.node:
        is_shared = node.op_type != "Conv" and shared.issuperset(node.input)
        shared.update(node.output if is_shared else ())
        stem = node.op_type if is_shared else _COUNTER.sub("", node.name) or node.op_type
        node.name = _unused(stem, taken)
        for index, name in enumerate(node.input):
            if name in weights and name not in new_names:
                tensor = kept.setdefault(keys[name], onnx.TensorProto())
                if not tensor.name:
                    tensor.CopyFrom(weights[name])
                    tensor.name = f"{node.name}/operand{index}"
                new_names[name] = tensor.name
            node.input[index] = new_names[name] if name else ""
        for index, name in enumerate(node.output):
            node.output[index] = new_names.setdefault(name, f"{node.name}:{index}" if name else "")
    del graph.initializer[:]
    graph.initializer.extend(kept.values())


def _unused(stem: str, taken: set[str]) -> str:
    name, number = stem, 1
    while name in taken:
        number += 1
        name = f"{stem}_{number}"
    taken.add(name)
    return name

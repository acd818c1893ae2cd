"""Reads ONNX models, without the package ``onnx``."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lanner._errors import InputError

FLOAT, INT64 = 1, 7
"""Types of the elements of a tensor."""


@dataclass
class Tensor:
    """Constant of a model: its elements as little-endian bytes, of 4 or 8 each."""

    name: str
    kind: int
    shape: list[int]
    data: bytes


@dataclass
class Node:
    """One operation."""

    name: str
    op: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass
class Model:
    """Nodes in the order in which they run, constants, and names of inputs and outputs."""

    nodes: list[Node] = field(default_factory=list)
    tensors: list[Tensor] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)


def read(data: bytes) -> Model:
    """Reads a model.

    Raises InputError for what is no ONNX model, or has its weights in another file.
    """
    try:
        graphs = [value for number, value in _fields(memoryview(data)) if number == 7]
        if not graphs:
            raise ValueError("it has no graph")
        return _model(graphs[-1])
    except (ValueError, IndexError, struct.error, TypeError) as error:
        raise InputError(f"the ONNX model is not readable: {error}") from error


def _model(graph: Any) -> Model:
    model = Model()
    for number, value in _fields(graph):
        if number == 1:
            model.nodes.append(_node(value))
        elif number == 5:
            model.tensors.append(_tensor(value))
        elif number in (11, 12):
            names = model.inputs if number == 11 else model.outputs
            names.append(next(_text(v) for n, v in _fields(value) if n == 1))
    constants = {tensor.name for tensor in model.tensors}
    model.inputs = [name for name in model.inputs if name not in constants]
    return model


def _node(data: Any) -> Node:
    node = Node("", "", [], [])
    for number, value in _fields(data):
        if number in (1, 2):
            (node.inputs if number == 1 else node.outputs).append(_text(value))
        elif number == 3:
            node.name = _text(value)
        elif number == 4:
            node.op = _text(value)
        elif number == 5:
            name, content = _attribute(value)
            node.attributes[name] = content
    node.name = node.name or (node.outputs[0] if node.outputs else node.op)
    return node


def _attribute(data: Any) -> tuple[str, Any]:
    name, kind = "", 0
    found: dict[str, Any] = {"floats": [], "ints": []}
    for number, value in _fields(data):
        if number == 1:
            name = _text(value)
        elif number == 20:
            kind = value
        elif number == 2:
            found["f"] = struct.unpack("<f", value)[0]
        elif number == 3:
            found["i"] = _signed(value)
        elif number == 4:
            found["s"] = _text(value)
        elif number == 5:
            found["t"] = _tensor(value)
        elif number == 7:
            found["floats"] += _floats(value)
        elif number == 8:
            found["ints"] += _integers(value)
    content = {1: "f", 2: "i", 3: "s", 4: "t", 6: "floats", 7: "ints"}.get(kind)
    # A graph, or a list of texts: no operation that is known here has one.
    return name, found.get(content) if content else None


def _tensor(data: Any) -> Tensor:
    tensor = Tensor("", 0, [], b"")
    for number, value in _fields(data):
        if number == 1:
            tensor.shape += _integers(value)
        elif number == 2:
            tensor.kind = value
        elif number == 8:
            tensor.name = _text(value)
        elif number == 9:
            tensor.data = bytes(value)
        elif number == 4:
            tensor.data += struct.pack(f"<{len(_floats(value))}f", *_floats(value))
        elif number == 7:
            tensor.data += struct.pack(f"<{len(_integers(value))}q", *_integers(value))
        elif number == 14 and value == 1:
            raise ValueError(f"the weights of {tensor.name} are in another file; save them in the model")
    return tensor


def _fields(data: Any) -> Iterator[tuple[int, Any]]:
    """Yields number and value of the fields of a protobuf message: integers, or bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == 2:
            size, at = _varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"a field of kind {kind}")
        if size > len(data) - at:
            raise ValueError("it ends in the middle of a field")
        yield number, data[at : at + size]
        at += size


def _varint(data: Any, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _integers(value: Any) -> list[int]:
    """Reads a field of integers, packed or a single one."""
    if isinstance(value, int):
        return [_signed(value)]
    numbers, at = [], 0
    while at < len(value):
        number, at = _varint(value, at)
        numbers.append(_signed(number))
    return numbers


def _floats(value: Any) -> list[float]:
    """Reads a field of floats, packed or a single one."""
    return list(struct.unpack(f"<{len(value) // 4}f", value))


def _text(value: Any) -> str:
    return bytes(value).decode()

"""Recurrent layers of ONNX models as PyTorch's."""

from typing import Any

import torch
from torch import nn

from lanner._errors import InputError

_GATES = {"LSTM": [0, 2, 3, 1], "GRU": [1, 0, 2]}
"""Places of PyTorch's gates in those of ONNX: input, output, forget, cell; update, reset, hidden."""


class Lstm(nn.LSTM):
    """PyTorch's layer, with the outputs of ONNX: all steps by direction, the last state and cell."""

    def forward(self, x: torch.Tensor) -> Any:
        steps, (state, cell) = super().forward(x)
        return _by_direction(steps, len(state)), state, cell


class Gru(nn.GRU):
    """PyTorch's layer, with the outputs of ONNX: all steps by direction, and the last state."""

    def forward(self, x: torch.Tensor) -> Any:
        steps, state = super().forward(x)
        return _by_direction(steps, len(state)), state


def recurrent(name: str, op: str, attributes: dict[str, Any], weights: list[torch.Tensor | None]) -> nn.Module:
    """Makes the layer of a node. ``weights`` are those of inputs, states, biases, then lengths of sequences and
    first states; None where there are none.

    Raises InputError for a node that does what PyTorch's layer does not.
    """

    def refuse(why: str) -> InputError:
        return InputError(f"operator {op} of {name} {why}, which PyTorch's layer does not")

    inputs, states, biases, lengths, *first = [*weights, None, None][: max(4, len(weights))]
    if inputs is None or states is None:
        raise refuse("has weights that are computed")
    if lengths is not None:
        raise refuse("takes lengths of sequences")
    if any(state is not None and bool(state.any()) for state in first):
        raise refuse("begins with a state that is not 0")
    usual = {"LSTM": {"input_forget": 0}, "GRU": {"linear_before_reset": 1}}[op]
    for setting, value in {**usual, "layout": 0, "clip": None, "activations": None}.items():
        if attributes.get(setting, 0 if isinstance(value, int) else None) != value:
            raise refuse(f"has {setting} = {attributes.get(setting, 0)}")
    direction = attributes.get("direction", "forward")
    if direction not in ("forward", "bidirectional"):
        raise refuse(f"has direction {direction}")
    directions, _, width = inputs.shape
    settings: dict[str, Any] = {"bias": biases is not None, "bidirectional": directions == 2}
    layer = (Lstm if op == "LSTM" else Gru)(width, states.shape[2], **settings)
    with torch.no_grad():
        for i, end in enumerate(["", "_reverse"][:directions]):
            given = {"weight_ih_l0": inputs[i], "weight_hh_l0": states[i]}
            if biases is not None:
                given["bias_ih_l0"], given["bias_hh_l0"] = biases[i].chunk(2)
            for own, values in given.items():
                gates = values.chunk(len(_GATES[op]))
                getattr(layer, own + end).copy_(torch.cat([gates[at] for at in _GATES[op]]))
    return layer


def _by_direction(steps: torch.Tensor, directions: int) -> torch.Tensor:
    """Returns length × directions × batch × states of length × batch × all states."""
    return steps.unflatten(2, (directions, -1)).transpose(1, 2)

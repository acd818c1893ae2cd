"""Exports a user's PyTorch networks to ONNX."""

import contextlib
import io
import logging
import os
import re
import tempfile
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lanner._errors import ExportError, InputError

if TYPE_CHECKING:
    import torch

_LONGEST = 1500
_OPERATOR = re.compile(r"\b(?:aten|prims|torchvision)(?:\.|::)[a-z_0-9]+(?:\.[A-Za-z_0-9]+)?")


def to_onnx(module: "torch.nn.Module", example_input: Any) -> bytes:
    """Returns the module as an ONNX model for inputs like the example: a tensor, or a tuple of them.

    Raises ExportError with PyTorch's own message, and the operator if it names one.
    """
    try:
        import torch
    except ImportError as error:
        raise InputError("build= needs PyTorch: pip install 'lanner[torch]'") from error

    if not isinstance(module, torch.nn.Module):
        raise ExportError(f"build returned {type(module).__name__}, expected a torch.nn.Module")
    args = example_input if isinstance(example_input, tuple) else (example_input,)
    if not args or not all(isinstance(a, torch.Tensor) for a in args):
        raise InputError("example_input: give a tensor as the network takes it, or a tuple of tensors")
    was_training = module.training
    module.eval()
    try:
        with _quiet(), torch.no_grad(), tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "network.onnx")
            torch.onnx.export(
                module, args, path, dynamo=True, external_data=False, verbose=False
            )
            with open(path, "rb") as file:
                return file.read()
    except Exception as error:
        raise ExportError(_message(error)) from error
    finally:
        module.train(was_training)


def _message(error: BaseException) -> str:
    """Says what PyTorch said, without its pages of advice, and which operator it was about."""
    texts = []
    cause: BaseException | None = error
    while cause is not None:
        texts.append(f"{type(cause).__name__}: {cause}")
        cause = cause.__cause__
    # The innermost cause says what happened.
    text = texts[-1]
    operators = sorted({m for t in texts for m in _OPERATOR.findall(t)})
    about = f" (operator {', '.join(operators[:3])})" if operators else ""
    return f"PyTorch cannot export the network{about}: {text[:_LONGEST]}"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the exporter's progress and warnings from the user's terminal."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)

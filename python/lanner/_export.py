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


def to_onnx(module: "torch.nn.Module", example_input: Any, open_batch: bool = False) -> bytes:
    """Returns the module as an ONNX model for inputs like the example: a tensor, a tuple of tensors, or a
    dictionary of them by the names of the arguments of ``forward``.

    Where PyTorch's exporter fails, its older one is tried, which runs the module once and writes what it
    did; it is not trusted where the module decides by values. With ``open_batch``, the first dimension of each input
    may have any size.

    Raises ExportError with PyTorch's own message, and the operator if it names one.
    """
    try:
        import torch
    except ImportError as error:
        raise InputError("build= needs PyTorch: pip install 'lanner[torch]'") from error

    if not isinstance(module, torch.nn.Module):
        raise ExportError(f"build returned {type(module).__name__}, expected a torch.nn.Module")
    args, named = _inputs(example_input)
    if not all(isinstance(a, torch.Tensor) for a in (*args, *named.values())):
        raise InputError(
            "example_input: give a tensor as the network takes it, a tuple of tensors, or a dictionary of "
            "them by the names of forward's arguments"
        )
    shapes: Any = None
    if open_batch:
        # PyTorch takes a size of 1 as fixed.
        args = tuple(torch.cat([a, a]) if a.ndim and len(a) == 1 else a for a in args)
        named = {name: torch.cat([a, a]) if a.ndim and len(a) == 1 else a for name, a in named.items()}
        sizes = [{0: torch.export.Dim.DYNAMIC} if a.ndim else None for a in (*args, *named.values())]
        shapes = dict(zip(named, sizes, strict=True)) if named else tuple(sizes)
    was_training = module.training
    module.eval()
    try:
        with _quiet() as warned, torch.no_grad(), tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "network.onnx")
            settings: dict[str, Any] = {"kwargs": named or None, "verbose": False}
            try:
                torch.onnx.export(
                    module, args, path, dynamo=True, external_data=False, dynamic_shapes=shapes, **settings
                )
                with open(path, "rb") as file:
                    return file.read()
            except Exception as error:
                model = None if open_batch else _traced(module, args, path, settings, warned)
                if model is None:
                    raise ExportError(_message(error)) from error
                return model
    finally:
        module.train(was_training)


def as_trained(module: "torch.nn.Module") -> None:
    """Changes initial weights a little that are all of one value, such as those of norms, or equal to those of
    another layer, such as a copy: the exporter keeps equal ones once, and a network would be counted and measured
    as smaller than it is after its training.
    """
    import torch

    seen: dict[tuple[Any, ...], list[torch.Tensor]] = {}
    with torch.no_grad():
        # Weights that layers share are listed once.
        for weights in module.parameters():
            if not weights.is_floating_point() or not weights.numel():
                continue
            alike = seen.setdefault((weights.shape, weights.dtype, float(weights.sum())), [])
            if bool((weights == weights.flatten()[0]).all()) or any(torch.equal(weights, other) for other in alike):
                weights += 1e-3 * torch.rand_like(weights)
            else:
                alike.append(weights)
        for norm in module.modules():
            if isinstance(norm, torch.nn.modules.batchnorm._BatchNorm):
                for statistics in (norm.running_mean, norm.running_var):
                    if statistics is not None:
                        statistics += 1e-3 * torch.rand_like(statistics)


def _inputs(example_input: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Returns the arguments by place and by name; a tuple without any stands for what is no example."""
    if isinstance(example_input, dict):
        named = {str(name): value for name, value in example_input.items()}
        return ((), named) if named else ((None,), {})
    args = tuple(example_input) if isinstance(example_input, (tuple, list)) else (example_input,)
    return args or (None,), {}


def _traced(
    module: "torch.nn.Module",
    args: tuple[Any, ...],
    path: str,
    settings: dict[str, Any],
    warned: list[warnings.WarningMessage],
) -> bytes | None:
    """Exports by PyTorch's older exporter; None if it fails, or the result may depend on the example."""
    import torch

    try:
        import onnx

        warned.clear()
        torch.onnx.export(module, args, path, dynamo=False, **settings)
        if any(issubclass(w.category, torch.jit.TracerWarning) for w in warned):
            return None
        # Costs are counted by the shapes of all values.
        model: bytes = onnx.shape_inference.infer_shapes(onnx.load(path)).SerializeToString()
        return model
    except Exception:
        return None


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
def _quiet() -> Iterator[list[warnings.WarningMessage]]:
    """Keeps the exporter's progress and warnings from the user's terminal, and returns the warnings."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(record=True) as warned,
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("always")
            yield warned
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)

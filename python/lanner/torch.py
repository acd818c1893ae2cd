"""Zero-cost proxies of any PyTorch module, by automatic differentiation.

>>> import lanner.torch                                                           # doctest: +SKIP
>>> scores = lanner.torch.proxies(module, (images, labels))                       # doctest: +SKIP
>>> scores["nwot"], scores.absent                                                 # doctest: +SKIP
(1541.7, {'synflow': 'LayerNorm is no batch norm'})
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lanner._checked import texts, whole
from lanner._errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["Scores", "proxies"]


class Scores(dict[str, float]):
    """Proxies by their names; ``absent`` says why others have no value."""

    absent: dict[str, str]


def proxies(
    module: "nn.Module",
    batch: "tuple[Any, torch.Tensor]",
    *,
    names: Sequence[str] = (),
    blocks: Sequence[str] | None = None,
    seed: int = 0,
) -> Scores:
    """Computes zero-cost proxies of a module, with its own weights and one batch: the same as
    :func:`lanner.proxies` of the same network, weights and images.

    ``batch`` is inputs and labels: inputs are a tensor, a tuple of the module's arguments, or a dictionary of
    named ones; labels are a class for each image, or for each place of each sequence. The module returns logits,
    or an object that has them. It is copied, and runs without dropout; batch norms use the batch's
    statistics.
    ``names`` are the proxies to compute, all by default, which share their passes.

    ``blocks`` are names of the parts whose outputs are compared (expressivity, progressivity, trainability,
    swap_cell): by default the cells of a network of Lanner's own, else the entries of lists and sequences that are
    modules with parts of their own, or if there are none, sequences of plain layers. Outputs of four dimensions have channels in the second, others in the last.

    Weights are those of convolutions and linear layers. What is not defined for a module is left out, and the
    result's ``absent`` says why: SynFlow where a norm is no batch norm, proxies of ReLUs without any, gradients by
    images of token numbers. zen and swap_cell draw weights of their own, and trainability gradients, by ``seed``;
    numbers differ from those that :func:`lanner.proxies` draws.

    Raises InputError for an unknown name or part, and a batch that is none.
    """
    import torch

    from lanner._proxies_torch import PROXIES
    from lanner._torch_passes import Absent, Passes

    wanted = texts("names", names, "synflow") or list(PROXIES)
    for name in wanted:
        if name not in PROXIES:
            raise InputError(f"no proxy {name!r}; there are: {', '.join(PROXIES)}")
    if not isinstance(module, torch.nn.Module):
        raise InputError(f"{type(module).__name__} is no torch.nn.Module")
    if not (isinstance(batch, (tuple, list)) and len(batch) == 2 and isinstance(batch[1], torch.Tensor)):
        raise InputError("the batch is not (inputs, labels), labels a tensor")
    given, labels = batch
    if labels.ndim == 0 or labels.is_floating_point() or len(labels) == 0:
        raise InputError(f"labels of type {labels.dtype} and shape {tuple(labels.shape)}, expected classes")
    if isinstance(given, dict):
        inputs: Any = ((), dict(given))
    else:
        inputs = (tuple(given) if isinstance(given, (tuple, list)) else (given,), {})
    sizes = [len(v) for v in (*inputs[0], *inputs[1].values()) if isinstance(v, torch.Tensor) and v.ndim]
    if sizes and sizes[0] != len(labels):
        raise InputError(f"the batch has {sizes[0]} inputs, but {len(labels)} labels")
    parts = None if blocks is None else texts("blocks", blocks, "layer1.0")
    passes = Passes(module, inputs, labels, parts, whole("seed", seed), set(wanted))
    scores = Scores()
    scores.absent = {}
    for name in wanted:
        try:
            value = PROXIES[name](passes)
        except Absent as reason:
            scores.absent[name] = str(reason)
            continue
        if value - value == 0:
            scores[name] = value
        else:
            scores.absent[name] = "not finite"
    return scores

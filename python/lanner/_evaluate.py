"""Calls the function that trains, in any process, and reads what it returns."""

import math
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lanner._checked import shown
from lanner._number import number
from lanner._trial import Trial

Train = Callable[[Trial], Any]

_LONGEST = 4000


@dataclass(frozen=True)
class Failure:
    """Reason why a training gave no metrics."""

    why: str


def evaluate(train: Train, trial: Trial, needed: Sequence[str]) -> dict[str, float] | Failure:
    """Trains, and returns the metrics or why there are none."""
    try:
        returned = train(trial)
    except Exception as error:
        text = "".join(traceback.format_exception(error))
        return Failure(text[-_LONGEST:])
    return metrics(returned, needed)


def metrics(
    returned: Any, needed: Sequence[str], who: str = "train returned", do: str = "return"
) -> dict[str, float] | Failure:
    """Reads what the function returned: a number for the only needed metric, one for each of them, or a
    dictionary with them. Other metrics of a dictionary that are no finite numbers are left out. ``who`` and
    ``do`` are the verbs of messages.

    >>> metrics(93.1, ["accuracy"])
    {'accuracy': 93.1}
    >>> metrics(None, ["accuracy"])
    Failure(why="train returned None; return the number for 'accuracy', or a dictionary with it")
    """
    expected = f"{do} the number for {_quoted(needed)}, or a dictionary with it"
    if len(needed) > 1:
        expected = f"{do} a dictionary with {_quoted(needed)}, or their numbers in this order"
    if isinstance(returned, Mapping):
        missing = [name for name in needed if name not in returned]
        if missing:
            there = ", ".join(map(str, returned)) or "nothing"
            return Failure(f"{who} a dictionary without {_quoted(missing)}; it has: {there}")
        named: dict[str, Any] = {str(name): value for name, value in returned.items()}
    elif isinstance(returned, (tuple, list)) and len(returned) == len(needed):
        named = dict(zip(needed, returned, strict=True))
    elif len(needed) == 1:
        named = {needed[0]: returned}
    else:
        return Failure(f"{who} {shown(returned)}; {expected}")
    read = {}
    for name, value in named.items():
        found = number(value)
        if found is not None and math.isfinite(found):
            read[name] = found
        elif name in needed:
            if found is None and value is returned:
                return Failure(f"{who} {shown(value)}; {expected}")
            return Failure(f"{who} {shown(value)} for {name!r}, expected a finite number")
    return read


def _quoted(names: Sequence[str]) -> str:
    return " and ".join(repr(name) for name in names)

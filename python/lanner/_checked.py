"""Checks of what callers give; the messages name the setting, the value and what was expected."""

import operator
import os
from collections.abc import Iterable, Mapping
from typing import Any

from lanner._errors import InputError

LARGEST = 2**63 - 1
"""Largest whole number that the library takes."""
_LONGEST = 80


def whole(name: str, value: Any, least: int = 0, most: int = LARGEST) -> int:
    """Returns a whole number from ``least`` to ``most``, of Python or NumPy.

    >>> whole("n_trials", 3)
    3
    >>> whole("n_trials", -1)
    Traceback (most recent call last):
        ...
    lanner._errors.InputError: n_trials is -1, expected 0 or more
    """
    expected = f"{least} or more" if most >= LARGEST else f"{least} to {most}"
    if least <= -LARGEST:
        expected = "one of 64 bits"
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise InputError(f"{given(name, value)}, expected a whole number, {expected}") from None
    if number > most:
        expected = f"{least} to {most}"
    if not least <= number <= most:
        raise InputError(f"{name} is {number}, expected {expected}")
    return number


def size(name: str, value: Any) -> int | None:
    """Returns a whole number, or None for the library's own."""
    return None if value is None else whole(name, value)


def truth(name: str, value: Any) -> bool:
    """Returns a truth value, of Python or NumPy: a text such as "no" would count as true.

    >>> truth("log", "no")
    Traceback (most recent call last):
        ...
    lanner._errors.InputError: log is 'no', a str, expected True or False
    """
    if isinstance(value, bool) or str(getattr(value, "dtype", "")) == "bool" and value.shape == ():
        return bool(value)
    raise InputError(f"{given(name, value)}, expected True or False")


def text(name: str, value: Any, expected: str) -> str:
    """Returns a text that is not empty; ``expected`` says of what."""
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{given(name, value)}, expected {expected}")
    return value


def several(name: str, values: Any, expected: str) -> list[Any]:
    """Returns the values of a list, a tuple, a generator or a column; a set has no order, a text is one value."""
    if isinstance(values, (str, bytes, Mapping, set, frozenset)) or not isinstance(values, Iterable):
        raise InputError(f"{given(name, values)}, expected {expected}")
    shape = getattr(values, "shape", (0,))
    if len(shape) != 1:
        raise InputError(f"{name} has the shape {tuple(shape)}, expected {expected}, of one dimension")
    return list(values)


def texts(name: str, values: Any, example: str) -> list[str]:
    """Returns a list of texts; a single text stands for a list of one, None for an empty one.

    >>> texts("limits", "params <= 1e6", "latency_ms <= 5")
    ['params <= 1e6']
    >>> texts("limits", [("latency_ms", 5)], "latency_ms <= 5")
    Traceback (most recent call last):
        ...
    lanner._errors.InputError: limits: ('latency_ms', 5) is no text, expected as 'latency_ms <= 5'
    """
    if values is None:
        return []
    listed = [values] if isinstance(values, str) else values
    if isinstance(listed, (set, frozenset)):
        # Their order is chance, and the same search is to be the same again.
        listed = sorted(listed, key=str)
    listed = several(name, listed, f"a text as {example!r}, or a list of them")
    for value in listed:
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"{name}: {value!r} is no text, expected as {example!r}")
    return listed


def path(name: str, value: Any, expected: str = "the path of a file") -> str:
    """Returns a path as a text."""
    try:
        found = os.fsdecode(value)
    except TypeError:
        found = ""
    if not found:
        raise InputError(f"{given(name, value)}, expected {expected}")
    return found


def given(name: str, value: Any) -> str:
    """Says what was given: ``seed is 'a', a str``."""
    kind = type(value).__name__
    article = "an" if kind[0].lower() in "aeiou" else "a"
    return f"{name} is {shown(value)}" + ("" if value is None else f", {article} {kind}")


def shown(value: Any) -> str:
    """Returns the value as a message shows it: on one line, and not for ever."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"{len(value)} bytes"
    line = " ".join(repr(value).split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"

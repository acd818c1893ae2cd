"""Checks of what callers give; the messages name the setting, the value and what was expected."""

import operator
import os
from collections.abc import Iterable
from typing import Any

from lanner._errors import InputError

LARGEST = 2**63 - 1
"""Largest whole number that the library takes."""


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
        expected = "a whole number of 64 bits"
    try:
        number = operator.index(value)
    except TypeError:
        raise InputError(f"{name} is {value!r}, a {type(value).__name__}, expected {expected}") from None
    if not least <= number <= most:
        raise InputError(f"{name} is {number}, expected {expected}")
    return number


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
    if not isinstance(listed, Iterable):
        raise InputError(f"{name} is {values!r}, expected a text as {example!r}, or a list of them")
    listed = list(listed)
    for value in listed:
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"{name}: {value!r} is no text, expected as {example!r}")
    return listed


def path(name: str, value: Any) -> str:
    """Returns the path of a file as a text."""
    try:
        return str(os.fspath(value))
    except TypeError:
        kind = type(value).__name__
        raise InputError(f"{name}: a {kind} is no path; give the path of a table's file") from None

"""Spaces of parameters: what a program declares."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lanner import _lanner
from lanner._checked import LARGEST, given, text, truth, whole
from lanner._errors import InputError
from lanner._number import number
from lanner._space import Space

Value = bool | int | float | str


@dataclass(frozen=True)
class Parameter:
    """A parameter of a space: made by :func:`Int`, :func:`Float`, :func:`Choice`, :func:`Repeat` or
    :func:`When`.
    """

    fields: dict[str, Any]

    def named(self, name: str) -> dict[str, Any]:
        """Returns the fields by which the library knows the parameter."""
        return {"name": name, **self.fields}


def Int(  # noqa: N802
    low: int, high: int, *, step: int = 1, log: bool = False, network: bool = True
) -> Parameter:
    """A whole number from ``low`` to ``high``, both included; with ``log``, ratios matter rather than
    differences.

    ``network=False`` says that the network does not depend on it, so that its latency does not either.
    """
    fields: dict[str, Any] = {"integer": [low, high], "log": log, "network": network}
    return Parameter(fields if step == 1 else {**fields, "step": step})


def Float(low: float, high: float, *, log: bool = False, network: bool = True) -> Parameter:  # noqa: N802
    """A number from ``low`` to ``high``; with ``log``, ratios matter rather than differences."""
    return Parameter({"float": [low, high], "log": log, "network": network})


def Choice(*values: Value, ordered: bool | None = None, network: bool = True) -> Parameter:  # noqa: N802
    """One of the values. Numbers are in an order, unless ``ordered`` says otherwise; texts are not."""
    fields: dict[str, Any] = {"choice": list(values), "network": network}
    return Parameter(fields if ordered is None else {**fields, "ordered": ordered})


def Repeat(length: str, **group: Parameter) -> Parameter:  # noqa: N802
    """A list of groups of parameters, as many as the whole number ``length`` says, which is declared
    before.
    """
    return Parameter({"repeat": length, "parameter": _all(group)})


def When(conditions: dict[str, Any], parameter: Parameter) -> Parameter:  # noqa: N802
    """A parameter that exists only if others, declared before, have these values: one, or one of a list."""
    if not isinstance(conditions, Mapping) or not conditions:
        raise InputError(f"When: {given('conditions', conditions)}, expected values by name, as {{'act': 'relu'}}")
    for name in conditions:
        text("When: the name of a parameter", name, "a text")
    if not isinstance(parameter, Parameter):
        raise InputError(f"When: {given('parameter', parameter)}, expected lanner.Int, Float, Choice or Repeat")
    own = {name: _listed(values) for name, values in conditions.items()}
    return replace(parameter, fields={**parameter.fields, "when": {**parameter.fields.get("when", {}), **own}})


def _listed(values: Any) -> Any:
    """Returns a list of several values. A set's order is another in each process, and would be another space."""
    if isinstance(values, (set, frozenset)):
        return sorted(values, key=lambda v: (type(v).__name__, v if isinstance(v, (int, float, str)) else repr(v)))
    return list(values) if isinstance(values, (tuple, range)) else values


def space(name: str = "space", /, **parameters: Parameter) -> Space:
    """Makes a space of parameters. An architecture is a dictionary of their values.

    >>> import lanner
    >>> space = lanner.space(
    ...     "resnets",
    ...     depth=lanner.Int(2, 3),
    ...     act=lanner.Choice("relu", "gelu"),
    ...     lr=lanner.Float(1e-4, 1e-1, log=True, network=False),
    ...     block=lanner.Repeat("depth", kernel=lanner.Choice(3, 5, 7)),
    ...     se=lanner.When({"act": "relu"}, lanner.Choice(False, True)),
    ... )
    >>> arch = space.sample(seed=1)[0]
    >>> len(arch["block"]) == arch["depth"], ("se" in arch) == (arch["act"] == "relu")
    (True, True)
    >>> space.check({"depth": 2, "act": "gelu", "lr": 0.01, "block": [{"kernel": 3}, {"kernel": 9}]})
    Traceback (most recent call last):
        ...
    lanner._errors.InputError: ...

    ``name`` is what tables, predictors and studies call the space. Raises InputError for parameters that
    make no space: no value to choose from, a repeat whose length is no whole number, a name twice.
    """
    text("name", name, "the name of the space; parameters are named: lanner.space(depth=lanner.Int(1, 8))")
    about = {"name": name, "parameter": _all(parameters)}
    return Space._of(_lanner.Space.of_parameters(json.dumps(about, allow_nan=False)))


def _all(parameters: dict[str, Parameter]) -> list[dict[str, Any]]:
    for name, parameter in parameters.items():
        if not isinstance(parameter, Parameter):
            raise InputError(
                f"{name} is {parameter!r}, expected lanner.Int, Float, Choice, Repeat or When"
            )
    return [_plain(name, parameter).named(name) for name, parameter in parameters.items()]


def _plain(name: str, parameter: Parameter) -> Parameter:
    """Checks the values of a parameter, and returns it with Python's in the place of NumPy's."""
    fields = dict(parameter.fields)
    for setting in ("log", "network", "ordered"):
        if setting in fields:
            fields[setting] = truth(f"{name}: {setting}", fields[setting])
    if "integer" in fields:
        fields["integer"] = [whole(f"{name}: a bound of Int", v, -LARGEST) for v in fields["integer"]]
    if "step" in fields:
        fields["step"] = whole(f"{name}: step", fields["step"], 1)
    if "float" in fields:
        fields["float"] = [_number(name, v) for v in fields["float"]]
    if "choice" in fields:
        fields["choice"] = values = [_value(name, v) for v in fields["choice"]]
        for i, value in enumerate(values):
            if value in values[:i]:
                raise InputError(f"{name}: Choice has {values[values.index(value)]!r} and {value!r}, which are equal")
    if "repeat" in fields and not isinstance(fields["repeat"], str):
        raise InputError(
            f"{name}: the length of Repeat is {fields['repeat']!r}, expected the name of an Int or Choice that "
            f"is declared before it; for a fixed length, Choice({fields['repeat']!r})"
        )
    if "when" in fields:
        fields["when"] = {
            other: [_value(name, v) for v in values] if isinstance(values, list) else _value(name, values)
            for other, values in fields["when"].items()
        }
    return replace(parameter, fields=fields)


def _number(name: str, value: Any) -> float:
    found = number(value)
    if found is None or not math.isfinite(found):
        raise InputError(f"{name}: a value is no number: a bound of Float is {value!r}, expected a finite one")
    return found


def _value(name: str, value: Any) -> Value:
    if not isinstance(value, (str, bool, int, float)) and getattr(value, "shape", None) == ():
        value = value.item()
    if isinstance(value, (list, tuple, set, range)) or hasattr(value, "shape"):
        raise InputError(f"{name}: {value!r} is no single value; give values one by one, Choice(*values)")
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{name}: {value} is no value to choose, expected a finite number")
    if isinstance(value, int) and not -LARGEST <= value <= LARGEST:
        raise InputError(f"{name}: {value} is beyond 64 bits")
    if not isinstance(value, (str, bool, int, float)):
        raise InputError(
            f"{name}: {value!r} is no number, text or truth value; choose by a name, and let build look it up"
        )
    return value

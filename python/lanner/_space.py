"""Search spaces."""

import json
import os
import tomllib
from collections.abc import Iterator
from typing import Any

from lanner import _lanner
from lanner._checked import path, whole
from lanner._errors import InputError

Arch = str | dict[str, Any]
"""An architecture that is given: its text, or in a space of parameters its values by name. One that is
returned has the type ``Any``, since a program knows which of the two it is.
"""


UNCOUNTED = 2**128 - 1
"""Size of a space that is not counted."""


class Space:
    """A search space: one of :attr:`Space.NAMES`, or a ``.toml`` file (docs/spaces.md).

    >>> space = Space("nasbench201")
    >>> space.size
    15625
    >>> space.check("302143")
    '|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|'

    Raises InputError if there is no such space, or the file does not define one.
    """

    NAMES: tuple[str, ...] = tuple(_lanner.Space.names())
    """Names of the published spaces."""

    def __init__(self, name: str | os.PathLike[str]) -> None:
        expected = "the name of a space, or the path of a .toml file"
        self._inner = _lanner.Space.by_name(path("name", name, expected))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the name, or the text of the file, and the sizes of the networks."""
        return _again, (self.name, self.toml, self._inner.sizes)

    @classmethod
    def _of(cls, inner: _lanner.Space) -> "Space":
        space = cls.__new__(cls)
        space._inner = inner
        return space

    @property
    def name(self) -> str:
        """Name of the space."""
        return self._inner.name

    @property
    def size(self) -> int:
        """Number of architectures; 2¹²⁸ − 1 stands for more than are counted, as where real numbers are chosen."""
        return self._inner.size

    @property
    def toml(self) -> str | None:
        """Text of the file that defines the space, for ``lanner search --space FILE.toml``; None for a
        published one.
        """
        return self._inner.toml

    def sample(self, n: int = 1, *, seed: int = 0) -> list[Any]:
        """Draws ``n`` architectures, none twice; fewer if the space has fewer.

        >>> Space("nasbench201").sample(2, seed=1) == Space("nasbench201").sample(2, seed=1)
        True
        """
        texts = self._inner.sample(whole("n", n), whole("seed", seed))
        return [self._arch(text) for text in texts]

    def mutate(self, arch: Arch, *, seed: int = 0) -> Any:
        """Returns the architecture with one choice changed at random.

        >>> space = Space("nasbench201")
        >>> space.mutate("302143", seed=1) != space.check("302143")
        True
        """
        return self._arch(self._inner.mutate(self._text(arch), whole("seed", seed)))

    def check(self, arch: Arch) -> Any:
        """Returns the architecture as the space writes it.

        Raises InputError if it is not one of the space.
        """
        return self._arch(self._inner.check(self._text(arch)))

    def text(self, arch: Arch) -> str:
        """Returns the text of an architecture, by which tables and studies know it."""
        return self._inner.check(self._text(arch))

    def canonical(self, arch: Arch) -> Any:
        """Returns the first of all architectures that are published as equal to this one."""
        return self._arch(self._inner.canonical(self._text(arch)))

    def __iter__(self) -> Iterator[Any]:
        """Lists all architectures; raises InputError if the space is too large for that."""
        return map(self._arch, self._inner.list())

    def __contains__(self, arch: object) -> bool:
        try:
            self._inner.check(self._text(arch))  # type: ignore[arg-type]
        except InputError:
            return False
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and self._inner.identity == other._inner.identity

    def __hash__(self) -> int:
        return hash(self._inner.identity)

    def __repr__(self) -> str:
        size = f"{self.size:,}" if self.size < 10**15 else f"{self.size:.3g}"
        if self.size >= UNCOUNTED:
            return f"Space({self.name!r}, more architectures than are counted)"
        return f"Space({self.name!r}, {size} architectures)"

    def _repr_html_(self) -> str:
        import html

        parameters = tomllib.loads(self.toml or "").get("parameter", []) if self._inner.is_parameters else []
        rows = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(values)}</td></tr>"
            for name, values in _declared(parameters, "")
        )
        return f"<p>{html.escape(repr(self))}</p><table>{rows}</table>"

    def _text(self, arch: Arch) -> str:
        if isinstance(arch, dict) and self._inner.is_parameters:
            try:
                return json.dumps(arch, default=_plain)
            except (TypeError, ValueError) as error:
                raise InputError(f"{arch!r} is not an architecture of {self.name}: {error}") from error
        if isinstance(arch, str):
            return arch
        kind = "a dictionary of values" if self._inner.is_parameters else "a text"
        raise InputError(f"{arch!r} is not an architecture of {self.name}: expected {kind}")

    def _arch(self, text: str) -> Any:
        if not self._inner.is_parameters:
            return text
        return json.loads(text)


def _again(name: str, toml: str | None, sizes: list[int] | None) -> Space:
    return Space._of(_lanner.Space.again(name, toml, sizes))


def differences(one: Space, other: Space) -> str:
    """Says how two spaces differ, by the first parameters that are not the same in both."""
    if not (one._inner.is_parameters and other._inner.is_parameters and one.name == other.name):
        return f"{one!r}, not {other!r}" if one.name != other.name else f"{one.name} with other choices"
    before, now = (dict(_declared(tomllib.loads(s.toml or "")["parameter"], "")) for s in (one, other))
    changed = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    said = [f"{name} was {before.get(name, 'absent')}, now is {now.get(name, 'absent')}" for name in changed]
    return "; ".join(said[:3]) or f"parameters of {one.name} are in another order, or of another kind"


def _declared(parameters: list[dict[str, Any]], before: str) -> Iterator[tuple[str, str]]:
    """Yields name and values of each parameter, in words."""
    for parameter in parameters:
        name = before + parameter["name"]
        if "repeat" in parameter:
            yield name, f"repeated {parameter['repeat']} times"
            yield from _declared(parameter["parameter"], f"{name}[i].")
            continue
        if "choice" in parameter:
            values = ", ".join(map(str, parameter["choice"]))
        else:
            low, high = parameter.get("integer") or parameter["float"]
            values = f"{low} to {high}" + (", logarithmic" if parameter.get("log") else "")
            values += f", step {parameter['step']}" if parameter.get("step", 1) != 1 else ""
        for other, expected in parameter.get("when", {}).items():
            values += f", when {other} is {expected}"
        yield name, values if parameter.get("network", True) else f"{values} (training only)"


def _plain(value: Any) -> Any:
    """Returns the number of a NumPy scalar."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{value!r} is no number, text or truth value")


def as_space(space: "Space | str | os.PathLike[str]") -> Space:
    """Returns the space, which may be given by its name or file."""
    if isinstance(space, (str, os.PathLike)):
        return Space(space)
    if not isinstance(space, Space):
        raise InputError(
            f"space is {space!r}, expected the name of a space, the path of a .toml file, or lanner.space(…)"
        )
    return space

"""Predictors of latency and accuracy, without a search."""

import array
import math
import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from lanner import _lanner
from lanner._checked import given, several, text, whole
from lanner._checked import path as as_path
from lanner._errors import InputError
from lanner._number import number
from lanner._space import Arch, Space, as_space


class Forecast(NamedTuple):
    """Predictions: NumPy arrays where NumPy is installed, else lists."""

    median: Any
    lower: Any
    """Lower bound of the 90 % interval; empty if the predictor has none."""
    upper: Any
    """Upper bound of the 90 % interval; empty if the predictor has none."""


class Predictor:
    """A predictor of one metric for any architectures of its space; made by :meth:`fit`,
    :func:`lanner.adapt` or :meth:`load`.

    >>> import lanner
    >>> space = lanner.Space("nasbench201")
    >>> archs = space.sample(60, seed=1)
    >>> values = [lanner.Network(a, space).costs["flops"] / 1e6 for a in archs]
    >>> predictor = lanner.Predictor.fit(archs[:50], values[:50], space=space, method="ridge-counts")
    >>> median, lower, upper = predictor.predict(archs[50:])
    >>> len([v for low, v, high in zip(lower, values[50:], upper) if low <= v <= high]) >= 8
    True
    """

    def __init__(self, inner: _lanner.Predictor) -> None:
        if not isinstance(inner, _lanner.Predictor):
            raise InputError("a Predictor is made by Predictor.fit, lanner.adapt or Predictor.load")
        self._inner = inner
        self._space = Space._of(inner.space())

    @staticmethod
    def fit(
        archs: Any,
        values: Any,
        *,
        space: Space | str = "nasbench201",
        kind: str | None = None,
        method: str = "default",
        prior: str | os.PathLike[str] | None = None,
        metric: str | None = None,
        seed: int = 0,
    ) -> "Predictor":
        """Fits a predictor to measured values of architectures.

        Architectures and values may be lists, NumPy arrays, or columns of polars, pyarrow and pandas, which are
        read by Arrow's interface; or ``archs`` a table with a column ``arch``, and ``values`` the name of
        another column. Missing values are left out.

        ``kind`` says what the numbers are: a ``latency`` or another cost (positive, less is better), a ``rate``
        such as images a second (the reciprocal of a cost), an ``accuracy`` (more is better) or an ``error``
        (less is better). By default the name of the column, or ``metric``, tells, as in searches; numbers
        without a name are latencies in milliseconds. ``method`` is one of docs/predictors.md.

        ``prior``, for accuracies and errors by the method ``default``, is a table of untrained scores,
        larger is better, from which predictions start as far as the values bear it out:
        ``"proxies.csv:rank"``, as ``lanner proxies`` wrote it, or another column.

        Raises InputError for values that teach nothing: too few, not finite, or a latency that is not
        positive; for a name that does not tell the kind; or if the prior cannot be read.
        """
        space, seed = as_space(space), whole("seed", seed)
        name = _name(metric, values, kind)
        texts, numbers = _pairs(space, archs, values)
        file = None if prior is None else as_path("prior", prior, _TABLE)
        text("method", method, "the name of a method (docs/predictors.md)")
        return Predictor(
            _lanner.Predictor.fit(space._inner, texts, numbers, kind, method, name, file, seed)
        )

    @property
    def space(self) -> Space:
        """The space whose architectures are predicted."""
        return self._space

    @property
    def metric(self) -> str:
        """Name of the metric, with its unit."""
        return self._inner.metric

    def predict(self, archs: Iterable[Arch]) -> Forecast:
        """Predicts the median and the 90 % interval of each architecture of a list, a column, or a table
        with a column ``arch``.
        """
        median, lower, upper = self._inner.predict(_texts(self._space, archs))
        return Forecast(_array(median), _array(lower), _array(upper))

    def rank(
        self, top: int = 10, *, sample: int | None = None, seed: int = 0
    ) -> list[tuple[Any, float]]:
        """Returns the best architectures of the space and their medians, the best first.

        A space that is too large to rank as a whole needs ``sample``, the number of random architectures.
        """
        some = None if sample is None else whole("sample", sample, 1)
        best = self._inner.rank(whole("top", top), some, whole("seed", seed))
        return [(self._space._arch(text), median) for text, median, _ in best]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the file that :meth:`load` and the command line read."""
        self._inner.save(as_path("path", path))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the content of the file, which is read as :meth:`load` reads it."""
        return _again, (self._inner.to_bytes(), self._space)

    @staticmethod
    def load(path: str | os.PathLike[str], space: Space | str | None = None) -> "Predictor":
        """Reads a file that :meth:`save`, ``lanner fit`` or ``lanner adapt`` wrote.

        Raises InputError if it is none, or is for another space than the given one.
        """
        known = None if space is None else as_space(space)._inner
        return Predictor(_lanner.Predictor.load(as_path("path", path), known))

    def __repr__(self) -> str:
        return f"Predictor({self._inner.describe()})"


_TABLE = "the path of a table's file"


def _again(content: bytes, space: Space) -> Predictor:
    return Predictor(_lanner.Predictor.of_bytes(content, space._inner))


def adapt(
    archs: Any,
    values: Any,
    *,
    space: Space | str = "nasbench201",
    kind: str | None = None,
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    prior: str | os.PathLike[str] | None = None,
    metric: str | None = None,
    seed: int = 0,
) -> Predictor:
    """Fits a predictor to few values, with the help of tables of other devices or tasks.

    ``kind`` is "latency", "rate" or "accuracy", by default as in :meth:`Predictor.fit`. ``sources`` are tables in the same space: ``"TABLE"`` or
    ``"TABLE:COLUMN"``, and ``"built-in"`` for Lanner's own table of NAS-Bench-201. Ten measurements, or
    twenty trainings, are enough for a start.

    ``prior``, for accuracies, is a table of untrained scores, from which predictions start as far as the
    values bear it out: ``"proxies.csv:rank"``, as ``lanner proxies`` wrote it, or another column. A few
    hundred networks are enough.

    Raises InputError as :meth:`Predictor.fit`, or if a source or the prior cannot be read.
    """
    space, seed = as_space(space), whole("seed", seed)
    name = _name(metric, values, kind)
    texts, numbers = _pairs(space, archs, values)
    listed = [sources] if isinstance(sources, (str, os.PathLike)) else sources or ()
    files = [as_path("sources", source, _TABLE) for source in several("sources", listed, "a list of tables' files")]
    file = None if prior is None else as_path("prior", prior, _TABLE)
    return Predictor(_lanner.Predictor.adapt(space._inner, texts, numbers, kind, name, files, file, seed))


def _name(metric: str | None, values: Any, kind: str | None) -> str:
    """Returns the name of the metric, by which its kind is known if none is given."""
    if kind is not None:
        text("kind", kind, "latency, rate, accuracy or error")
    if metric is not None or isinstance(values, str):
        return text("metric", values if metric is None else metric, "the name of a metric")
    return "latency_ms" if kind in (None, "latency") else str(kind)


def _texts(space: Space, archs: Any) -> Any:
    """Returns the texts of architectures: a list, or a column that the library reads by itself."""
    if isinstance(archs, (str, dict)):
        raise InputError("archs: give a list of architectures, not a single one")
    if _columns(archs) is not None:
        archs = _column(archs, "arch")
    if _is_column(archs) and not space._inner.is_parameters:
        return archs
    if (listed := getattr(archs, "to_pylist", None) or getattr(archs, "to_list", None)) is not None:
        # Dictionaries of a column all have the same names: None stands for a parameter that is not there.
        archs = [_there(arch) for arch in listed()]
    listed = several("archs", archs, "a list of architectures, a column, or a table")
    return [a if type(a) is str else space._text(_own(a)) for a in listed]


def _there(value: Any) -> Any:
    """Returns a value of a column without the parameters that are None."""
    if isinstance(value, dict):
        return {name: _there(v) for name, v in value.items() if v is not None}
    return [_there(v) for v in value] if isinstance(value, list) else value


def _own(arch: Any) -> Arch:
    """Returns NumPy's texts as Python's."""
    return str(arch) if isinstance(arch, str) else arch


def _is_column(values: Any) -> bool:
    """Tells whether these are a column by Arrow's interface, as those of polars, pyarrow and pandas."""
    return hasattr(values, "__arrow_c_stream__")


def _pairs(space: Space, archs: Any, values: Any) -> tuple[Any, Any]:
    """Returns architectures and values, of a table if ``values`` is the name of its column."""
    if isinstance(values, str):
        archs, values = _column(archs, "arch"), _column(archs, values)
    texts = _texts(space, archs)
    if _columns(values) is not None:
        raise InputError("values: this is a table; give the name of its column, or the column")
    if _is_column(values):
        return texts, values
    numbers = []
    for i, value in enumerate(several("values", values, "a number for each architecture")):
        found = math.nan if value is None or type(value).__name__ == "NAType" else number(value)
        if found is None:
            raise InputError(f"{given(f'values[{i}]', value)}, expected a number")
        numbers.append(found)
    return texts, numbers


def _columns(table: Any) -> list[Any] | None:
    """Returns the names of a table's columns; None for what is no table."""
    for names in ("column_names", "columns"):
        if (listed := getattr(table, names, None)) is not None:
            return list(listed)
    fields = getattr(getattr(table, "dtype", None), "names", None)
    return None if fields is None else list(fields)


def _column(table: Any, name: str) -> Any:
    names = list(table) if isinstance(table, dict) else _columns(table)
    if names is None:
        raise InputError(
            f"archs: expected a table with a column {name!r}, since values is the name of another one; got "
            f"a {type(table).__name__}"
        )
    if names.count(name) > 1:
        raise InputError(f"the table has {names.count(name)} columns {name!r}")
    if name not in names:
        there = ", ".join(map(repr, names)) or "nothing"
        raise InputError(f"the table has no column {name!r}; it has {there}")
    return table[name]


def _array(values: bytearray) -> Any:
    """Returns the 64-bit floats in these bytes, without a copy where NumPy is installed."""
    try:
        import numpy
    except ImportError:
        return array.array("d", bytes(values)).tolist()
    return numpy.frombuffer(values)

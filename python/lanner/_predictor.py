"""Predictors of latency and accuracy, without a search."""

import array
import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from lanner import _lanner
from lanner._errors import InputError
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
        self._inner = inner
        self._space = Space._of(inner.space())

    @staticmethod
    def fit(
        archs: Any,
        values: Any,
        *,
        space: Space | str = "nasbench201",
        kind: str = "latency",
        method: str = "default",
        prior: str | os.PathLike[str] | None = None,
        metric: str | None = None,
        seed: int = 0,
    ) -> "Predictor":
        """Fits a predictor to measured values of architectures.

        Architectures and values may be lists, NumPy arrays, or columns of polars, pyarrow and pandas, which are
        read by Arrow's interface; or ``archs`` a table with a column ``arch``, and ``values`` the name of
        another column. Missing values are left out. ``kind`` says
        what the numbers are: a ``latency`` or another cost (positive, less is better), a ``rate`` such as
        images a second (the reciprocal of a cost), an ``accuracy`` (more is better) or an ``error`` (less is
        better). ``method`` is one of docs/predictors.md.

        ``prior``, for accuracies and errors by the method ``default``, is a table of untrained scores,
        larger is better, from which predictions start as far as the values bear it out:
        ``"proxies.csv:rank"``, as ``lanner proxies`` wrote it, or another column.

        Raises InputError for values that teach nothing: too few, all equal, not finite, or a latency that
        is not positive; or if the prior cannot be read.
        """
        space = as_space(space)
        name = metric or (values if isinstance(values, str) else None)
        texts, numbers = _pairs(space, archs, values)
        name = name or ("latency_ms" if kind == "latency" else kind)
        return Predictor(
            _lanner.Predictor.fit(
                space._inner, texts, numbers, kind, method, name, None if prior is None else os.fspath(prior), seed
            )
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
        """Predicts the median and the 90 % interval of each architecture of a list or column."""
        median, lower, upper = self._inner.predict(_texts(self._space, archs))
        return Forecast(_array(median), _array(lower), _array(upper))

    def rank(
        self, top: int = 10, *, sample: int | None = None, seed: int = 0
    ) -> list[tuple[Arch, float]]:
        """Returns the best architectures of the space and their medians, the best first.

        A space that is too large to rank as a whole needs ``sample``, the number of random architectures.
        """
        best = self._inner.rank(top, sample, seed)
        return [(self._space._arch(text), median) for text, median, _ in best]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the file that :meth:`load` and the command line read."""
        self._inner.save(os.fspath(path))

    @staticmethod
    def load(path: str | os.PathLike[str], space: Space | None = None) -> "Predictor":
        """Reads a file that :meth:`save`, ``lanner fit`` or ``lanner adapt`` wrote.

        Raises InputError if it is none, or is for another space than the given one.
        """
        inner = _lanner.Predictor.load(os.fspath(path), None if space is None else space._inner)
        return Predictor(inner)

    def __repr__(self) -> str:
        return f"Predictor({self._inner.describe()})"


def adapt(
    archs: Any,
    values: Any,
    *,
    space: Space | str = "nasbench201",
    kind: str = "latency",
    sources: Sequence[str | os.PathLike[str]] = (),
    prior: str | os.PathLike[str] | None = None,
    metric: str | None = None,
    seed: int = 0,
) -> Predictor:
    """Fits a predictor to few values, with the help of tables of other devices or tasks.

    ``kind`` is "latency", "rate" or "accuracy". ``sources`` are tables in the same space: ``"TABLE"`` or
    ``"TABLE:COLUMN"``, and ``"built-in"`` for Lanner's own table of NAS-Bench-201. Ten measurements, or
    twenty trainings, are enough for a start.

    ``prior``, for accuracies, is a table of untrained scores, from which predictions start as far as the
    values bear it out: ``"proxies.csv:rank"``, as ``lanner proxies`` wrote it, or another column. A few
    hundred networks are enough.

    Raises InputError as :meth:`Predictor.fit`, or if a source or the prior cannot be read.
    """
    space = as_space(space)
    name = metric or (values if isinstance(values, str) else None)
    texts, numbers = _pairs(space, archs, values)
    name = name or ("latency_ms" if kind == "latency" else kind)
    files = [os.fspath(source) for source in sources]
    return Predictor(
        _lanner.Predictor.adapt(
            space._inner, texts, numbers, kind, name, files, None if prior is None else os.fspath(prior), seed
        )
    )


def _texts(space: Space, archs: Any) -> Any:
    """Returns the texts of architectures: a list, or a column that the library reads by itself."""
    if isinstance(archs, (str, dict)):
        raise InputError("archs: give a list of architectures, not a single one")
    if _is_column(archs):
        return archs
    return [a if type(a) is str else space._text(_own(a)) for a in archs]


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
    numbers = values
    if not _is_column(values):
        try:
            numbers = [float(v) for v in values]
        except (TypeError, ValueError) as error:
            raise InputError(f"values: {error}") from error
    return texts, numbers


def _column(table: Any, name: str) -> Any:
    try:
        return table[name]
    except (KeyError, IndexError, TypeError, LookupError) as error:
        raise InputError(f"the table has no column {name!r}: {error}") from error
    except Exception as error:
        if type(error).__name__ == "ColumnNotFoundError":
            raise InputError(f"the table has no column {name!r}: {error}") from error
        raise


def _array(values: bytearray) -> Any:
    """Returns the 64-bit floats in these bytes, without a copy where NumPy is installed."""
    try:
        import numpy
    except ImportError:
        return array.array("d", bytes(values)).tolist()
    return numpy.frombuffer(values)

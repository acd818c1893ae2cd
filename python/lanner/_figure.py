"""The figure of a search: the best value so far, and each trial."""

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lanner._checked import given
from lanner._errors import InputError
from lanner._number import number
from lanner._trial import Trial

if TYPE_CHECKING:
    from lanner._study import Study

_WIDTH, _HEIGHT, _LEFT, _BELOW = 560, 240, 64, 36
_LARGEST = 1e300
"""Largest value that has a place on the axis."""


class LiveFigure:
    """Callback that draws the search in a notebook while it runs.

    ``study.optimize(train, n_trials=60, callbacks=[lanner.LiveFigure()])``

    It draws at most once in ``pause`` seconds. Raises InputError where there is no IPython.
    """

    def __init__(self, pause: float = 1.0) -> None:
        try:
            from IPython.display import SVG, display
        except ImportError as error:
            raise InputError("LiveFigure draws in notebooks: IPython is not installed") from error
        seconds = number(pause)
        if seconds is None:
            raise InputError(f"{given('pause', pause)}, expected seconds")
        self._svg, self._display = SVG, display
        self._pause, self._last = seconds, -seconds
        self._handle: Any = None
        self._last_study: Study | None = None

    def __call__(self, study: "Study", trial: Trial) -> None:
        if time.monotonic() - self._last < self._pause and self._handle is not None:
            return
        self._last = time.monotonic()
        drawing = self._svg(study.svg())
        if self._handle is None or self._last_study is not study:
            self._handle, self._last_study = self._display(drawing, display_id=True), study
        elif self._handle is not None:
            self._handle.update(drawing)


def draw(trials: Sequence[Trial], best: Sequence[Trial], metric: str, is_maximized: bool) -> str:
    """Draws the values of the trials in the order of their ends, and the best so far as a line.

    ``best`` are the trials that the study returns; those over a limit are hollow.
    """
    import html

    done = [t for t in trials if t.state == "done" and t.value is not None]
    done.sort(key=lambda t: (t.finished or 0.0, t.number))
    values = [t.value for t in done if t.value is not None]
    chosen = {t.number for t in best}
    low, high = _frame(values, is_maximized)
    count = max(2, len(values))

    def x(k: int) -> float:
        return _LEFT + (k + 0.5) * (_WIDTH - _LEFT - 8) / count

    def y(value: float) -> float:
        return 8 + (high - value) / (high - low) * (_HEIGHT - _BELOW - 16)

    parts = []
    for tick in _ticks(low, high):
        parts.append(
            f'<path d="M{_LEFT} {y(tick):.1f}H{_WIDTH - 8}" stroke="currentColor" opacity=".15"/>'
            f'<text x="{_LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:.6g}</text>'
        )
    so_far: list[float] = []
    for value in values:
        best_before = so_far[-1] if so_far else value
        so_far.append(max(best_before, value) if is_maximized else min(best_before, value))
    if so_far:
        steps = "".join(f"V{y(max(low, min(high, v))):.1f}H{x(k):.1f}" for k, v in enumerate(so_far))
        first = y(max(low, min(high, so_far[0])))
        parts.append(f'<path d="M{x(0):.1f} {first:.1f}{steps}" fill="none" stroke="#0969da" stroke-width="2"/>')
    for k, t in enumerate(done):
        if t.value is None or not low <= t.value <= high:
            continue
        color = "#cf222e" if t.number in chosen else "#0969da"
        title = html.escape(f"trial {t.number}: {metric} {t.value:.6g}, {t.arch}")
        parts.append(
            f'<circle cx="{x(k):.1f}" cy="{y(t.value):.1f}" r="{5 if t.number in chosen else 3}" fill="{color}"'
            f' fill-opacity=".7"><title>{title}</title></circle>'
        )
    name = html.escape(metric)
    parts.append(
        f'<text x="{_LEFT}" y="{_HEIGHT - 8}">{len(values)} trainings: {name}, best so far as a line</text>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" font-family="sans-serif" font-size="12" fill="currentColor" role="img" '
        f'aria-label="search curve of {name}">{"".join(parts)}</svg>'
    )


def _frame(values: Sequence[float], is_maximized: bool) -> tuple[float, float]:
    """Returns the lower and upper end of the axis: over the better three quarters of the values."""
    ordered = sorted(values, reverse=is_maximized)
    kept = ordered[: max(1, -(-3 * len(ordered) // 4))] or [0.0, 1.0]
    low, high = min(kept), max(kept)
    # The span and its ticks are finite numbers above 0.
    low, high = max(low, -_LARGEST), min(high, _LARGEST)
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    margin = max(margin, 1 / _LARGEST)
    return low - margin, high + margin


def _ticks(low: float, high: float) -> list[float]:
    """Returns some three to six round numbers between the ends."""
    step = 10.0 ** math.floor(math.log10(high - low))
    while (high - low) / step < 3:
        step /= 2
    first = -(-low // step)
    return [k * step for k in range(int(first), int(high // step) + 1)]

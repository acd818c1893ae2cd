"""Numbers of Python, NumPy and PyTorch."""

from typing import Any


def number(value: Any) -> float | None:
    """Returns a number of Python, NumPy or PyTorch; None for what is none, such as a text or a truth value."""
    if type(value) is float:
        return value
    if value is None or isinstance(value, (str, bytes, bool)):
        return None
    if str(getattr(value, "dtype", "")) in ("bool", "torch.bool"):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None

"""Image data sets."""

from typing import Any, NamedTuple

from lanner import _lanner
from lanner._checked import text


class Images(NamedTuple):
    """A data set as NumPy arrays: pixels from 0 to 255 (images × channels × height × width, bytes) and
    classes.
    """

    train: Any
    train_labels: Any
    test: Any
    test_labels: Any


def images(name: str) -> Images:
    """Reads a data set: ``digits`` (built in: 8 × 8 grey handwritten digits), or one of a file or folder, as
    ``cifar10:PATH``, ``mnist:PATH``.

    >>> digits = images("digits")
    >>> digits.train.shape[1:], int(digits.train_labels.max())
    ((1, 8, 8), 9)

    Needs NumPy. Raises InputError for an unknown name or a file that cannot be read.
    """
    import numpy

    shape, train, test = _lanner.images(text("name", name, "digits, or cifar10:PATH"))

    def split(pixels: bytes, labels: list[int]) -> tuple[Any, Any]:
        values = numpy.frombuffer(pixels, numpy.uint8).reshape(len(labels), *shape)
        return values.copy(), numpy.array(labels)

    return Images(*split(*train), *split(*test))

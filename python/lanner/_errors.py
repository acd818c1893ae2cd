"""Exceptions of the package; their messages name the value and the way out."""


class LannerError(Exception):
    """Base class of all errors of the package."""


class InputError(LannerError, ValueError):
    """A value, name, file or setting is wrong. Nothing was written."""


class StudyError(LannerError):
    """A study cannot be made, opened or written, or a trial cannot take this result."""


class MeasureError(LannerError):
    """Networks cannot be measured or evaluated; the next one could not be either."""


class ExportError(LannerError):
    """A user's network cannot be built, or PyTorch cannot export it to ONNX."""


class TrainError(LannerError):
    """The first trainings all failed; the message has the first one's traceback."""

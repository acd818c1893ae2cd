"""Finds the neural network to deploy on your device with the fewest trainings and measurements.

A space of networks, a study, and a function that trains:

>>> import lanner
>>> space = lanner.Space("nasbench201")
>>> study = lanner.create_study(space, maximize="score", limits=["params <= 1e6"], seed=1)
>>> study.optimize(lambda trial: trial.arch.count("3x3"), n_trials=12)
>>> study.best_trial.value >= 2
True

docs/python.md goes from here to a search over your own ``nn.Module`` within a latency limit.
"""

from lanner import _lanner
from lanner._create import STRATEGIES, create_study, load_study
from lanner._device import Device, device
from lanner._errors import (
    ExportError,
    InputError,
    LannerError,
    MeasureError,
    StudyError,
    TrainError,
)
from lanner._evaluators import Latency, Trained, measure, proxies, train
from lanner._figure import LiveFigure
from lanner._images import Images, images
from lanner._measure import onnx_cost
from lanner._network import Network, to_torch
from lanner._parameters import Choice, Float, Int, Parameter, Repeat, When, space
from lanner._predictor import Forecast, Predictor, adapt
from lanner._profile import Profile, profile
from lanner._space import Arch, Space
from lanner._study import Study
from lanner._trial import Trial

__version__: str = _lanner.VERSION

__all__ = [
    "STRATEGIES",
    "Arch",
    "Choice",
    "Device",
    "ExportError",
    "Float",
    "Forecast",
    "Images",
    "InputError",
    "Int",
    "LannerError",
    "Latency",
    "LiveFigure",
    "MeasureError",
    "Network",
    "Parameter",
    "Predictor",
    "Profile",
    "Repeat",
    "Space",
    "Study",
    "StudyError",
    "TrainError",
    "Trained",
    "Trial",
    "When",
    "adapt",
    "create_study",
    "device",
    "images",
    "load_study",
    "measure",
    "onnx_cost",
    "profile",
    "proxies",
    "space",
    "to_torch",
    "train",
]

"""The accuracy of a search's best.onnx on the test digits, by ONNX Runtime and the digits of scikit-learn.

    lanner search --out STUDY
    pip install numpy onnxruntime scikit-learn
    python best_onnxruntime.py STUDY
"""

import json
import pathlib
import sys

import numpy
import onnxruntime
from sklearn.datasets import load_digits

study = pathlib.Path(sys.argv[1])
about = json.loads((study / "best.json").read_text())
assert about["input"]["dataset"] == "digits"
digits = load_digits()
# The last 360 are for testing; 17 levels of grey become 0 to 255.
levels, labels = digits.images[1437:].astype(int), digits.target[1437:]
mean, std = about["input"]["mean"][0], about["input"]["std"][0]
images = ((levels * 255 + 8) // 16 / 255 - mean) / std
session = onnxruntime.InferenceSession(study / "best.onnx", providers=["CPUExecutionProvider"])
(source,) = session.get_inputs()
right = 0
for image, label in zip(images, labels):
    three = numpy.repeat(image[None, None], 3, axis=1).astype(numpy.float32)
    right += session.run(None, {source.name: three})[0].argmax() == label
accuracy, printed = 100 * right / len(labels), about["metrics"]["test_accuracy"]
print(f"test accuracy {accuracy:.2f} % by ONNX Runtime {onnxruntime.__version__}, {printed:.2f} % by lanner search")
sys.exit(1 if abs(accuracy - printed) > 0.1 else 0)

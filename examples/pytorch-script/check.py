"""The outputs of `network.py` against ONNX Runtime's, for files that `lanner network --onnx` wrote."""

import sys

import numpy
import onnxruntime
import torch

from network import Network

for path in sys.argv[1:]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0]
    images = numpy.random.default_rng(0).standard_normal([1] + source.shape[1:]).astype(numpy.float32)
    network = Network(path).eval()
    network.save(path + ".saved")
    again = onnxruntime.InferenceSession(path + ".saved", providers=["CPUExecutionProvider"])
    expected, saved = (s.run(None, {source.name: images})[0] for s in (session, again))
    got = network(torch.from_numpy(images)).detach().numpy()
    scale = numpy.abs(expected).max()
    print(f"{path}: {numpy.abs(got - expected).max() / scale:.1e}, saved {numpy.abs(saved - expected).max() / scale:.1e}")
    assert numpy.abs(got - expected).max() <= 1e-4 * scale and (saved == expected).all()

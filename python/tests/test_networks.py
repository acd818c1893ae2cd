"""Networks as PyTorch modules; measuring, proxies and trainings without a search."""

import copy
import pickle
from pathlib import Path

import pytest

import lanner
from conftest import spaces_with_networks

SPACE = lanner.Space("nasbench201")


def run(model, image):
    """Runs a model by ONNX Runtime."""
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: image})[0]


@pytest.mark.parametrize("name", list(spaces_with_networks()))
def test_modules_compute_what_onnx_runtime_computes(name):
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    space = lanner.Space(name)
    sizes = {"channels": 16} if name == "transbench101-macro" else {}
    network = lanner.Network(space.sample(1, seed=4)[0], space, **sizes)
    # Small values: rounding errors grow with random weights, which no batch norm tames.
    image = 0.1 * torch.randn(2, *network.input_shape)
    module = network.to_torch(seed=3)
    assert not module.training
    with torch.no_grad():
        ours = module(image).numpy()
    theirs = run(network.to_onnx(seed=3, batch=None), image.numpy())
    assert abs(ours - theirs).max() <= 1e-5 * max(1.0, abs(theirs).max())
    assert sum(p.numel() for p in module.parameters()) == network.costs["params"]


@pytest.mark.parametrize("signal", [False, True])
def test_unets_of_a_file_agree_with_onnx_runtime(tmp_path, signal):
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    text = (Path(__file__).parents[2] / "examples" / "unet.toml").read_text()
    if signal:
        text = text.replace("resolution = 64", "input = [2, 512]")
    file = tmp_path / "unet.toml"
    file.write_text(text)
    space = lanner.Space(file)
    for arch in space.sample(4, seed=2):
        network = lanner.Network(arch, space)
        image = 0.1 * torch.randn(2, *network.input_shape)
        module = network.to_torch(seed=3)
        with torch.no_grad():
            ours = module(image).numpy()
        theirs = run(network.to_onnx(seed=3, batch=None), image.numpy())
        assert ours.shape == theirs.shape == (2, 3, *network.input_shape[1:])
        assert abs(ours - theirs).max() <= 1e-5 * max(1.0, abs(theirs).max())
        assert sum(p.numel() for p in module.parameters()) == network.costs["params"]


def test_modules_can_be_trained_copied_and_sent():
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    module = lanner.Network("302143", cells=1).to_torch()
    assert "stage1.cell1.0-1.conv.weight" in module.state_dict()
    image = torch.randn(2, 3, 32, 32)
    module.train()
    module(image).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in module.parameters())
    module.eval()
    for same in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(same(image), module(image))
    module.double()(image.double())


def test_own_models_become_modules(tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from lanner._export import to_onnx

    torch.manual_seed(2)
    layers = torch.nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, activation="gelu")
    own = torch.nn.Sequential(torch.nn.Linear(8, 16), layers, torch.nn.LayerNorm(16)).eval()
    tokens = torch.randn(1, 5, 8)
    path = tmp_path / "own.onnx"
    path.write_bytes(to_onnx(own, tokens))
    with torch.no_grad():
        assert (lanner.to_torch(path)(tokens) - own(tokens)).abs().max() < 1e-5


def test_what_is_no_model_is_told(tmp_path):
    pytest.importorskip("torch")
    model = lanner.Network("302143").to_onnx()
    for broken in (b"", b"rubbish", model[:-1], model[: len(model) // 2]):
        with pytest.raises(lanner.InputError, match="not readable"):
            lanner.to_torch(broken)
    with pytest.raises(lanner.InputError, match="No such file"):
        lanner.to_torch(tmp_path / "none.onnx")
    with pytest.raises(lanner.InputError, match="operator DynamicQuantizeLinear of"):
        lanner.to_torch(lanner.Network("302143").to_onnx(int8=True))


def test_measure_takes_all_kinds_of_networks(tmp_path):
    device = lanner.device("rten")
    small, large = lanner.Network("000000", cells=1), lanner.Network("333333")
    (tmp_path / "n.onnx").write_bytes(large.to_onnx(fold=True))
    given = [small, large, "333333", large.to_onnx(fold=True), tmp_path / "n.onnx"]
    latencies = lanner.measure(given, device=device)
    assert all(latency.ms > 3 * latencies[0].ms for latency in latencies[1:])
    assert all(0 <= latency.se < latency.ms for latency in latencies)
    one = lanner.measure(small, device=device)
    assert isinstance(one, lanner.Latency)
    # The module of a network is measured as the network is.
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    own = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU())
    assert lanner.measure(own, device=device, example_input=torch.zeros(1, 3, 32, 32)).ms > 0
    for wrong, says in [((own,), "example_input"), ((3,), "3 is no network"), (("333339",), "333339")]:
        with pytest.raises(lanner.InputError, match=says):
            lanner.measure(*wrong, device=device)
    with pytest.raises(lanner.InputError, match="lanner.device"):
        lanner.measure(small, device="cpu")


def test_proxies_are_those_of_the_network():
    archs = SPACE.sample(3, seed=1)
    rows = lanner.proxies(archs, names=["params", "flops", "synflow"], cells=1, batch=8)
    for arch, row in zip(archs, rows, strict=True):
        costs = lanner.Network(arch, cells=1, pruned=False).costs
        assert row["arch"] == arch
        assert row["params"] == pytest.approx(costs["params"] / 1e6)
        assert row["flops"] == pytest.approx(costs["flops"] / 1e6)
    assert list(rows[0]) == ["arch", "params", "flops", "synflow"]
    assert rows == lanner.proxies(archs, names=["params", "flops", "synflow"], cells=1, batch=8)
    for settings, says in [
        ({"names": ["magic"]}, "magic"),
        ({"batch": 0}, "batch is 0"),
        ({"dataset": "nothing"}, "nothing"),
        ({"cells": 0}, "cells is 0"),
    ]:
        with pytest.raises(lanner.InputError, match=says):
            lanner.proxies(archs, **settings)


def test_trained_networks_do_in_pytorch_what_they_did_here():
    trained = lanner.train("333333", epochs=4, seed=1)
    again = lanner.train("333333", epochs=4, seed=1)
    assert trained.model == again.model and trained.metrics["val_accuracy"] > 90
    torch = pytest.importorskip("torch")
    digits = lanner.images("digits")
    train, test = (torch.tensor(x).float() / 255 for x in (digits.train, digits.test))
    # Grey images become three equal channels. Statistics of all training images, not of four fifths.
    images = ((test - train.mean()) / train.std()).repeat(1, 3, 1, 1)
    with torch.no_grad():
        hits = trained.to_torch()(images).argmax(1) == torch.tensor(digits.test_labels)
    assert 100 * hits.float().mean() == pytest.approx(trained.metrics["test_accuracy"], abs=0.6)
    for settings, says in [
        ({"epochs": 0}, "epochs"),
        ({"dataset": "nothing"}, "nothing"),
        ({"learning_rate": -1.0}, "learning"),
        ({"space": "darts"}, "302143"),
    ]:
        with pytest.raises(lanner.InputError, match=says):
            lanner.train("302143", **settings)
    with pytest.raises(lanner.TrainError, match="diverged"):
        lanner.train("302143", epochs=1, learning_rate=1e30)

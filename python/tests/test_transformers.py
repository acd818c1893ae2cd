"""Networks of transformers: ONNX Runtime, PyTorch modules, and what PyTorch counts."""

import json
from pathlib import Path

import pytest

import lanner

EXAMPLES = Path(__file__).parents[2] / "examples"
SPACES = ["autoformer-tiny", "pit", str(EXAMPLES / "transformer.toml")]


def gpt(folder):
    """A space of small language models."""
    path = folder / "gpt.toml"
    path.write_text(
        """
        name = "small-gpt"
        kind = "transformer"
        bias = [false, true]
        [stem]
        vocabulary = 300
        tokens = 24
        [[stage]]
        depth = [1, 2]
        embed_dim = [32, 48]
        heads = [2, 4]
        head_dim = 16
        mlp_ratio = [2, 3.5]
        gated = true
        causal = true
        rotary = 8
        parallel = true
        [skeleton]
        classes = 300
        """
    )
    return lanner.Space(str(path))


def check(network, inputs):
    torch = pytest.importorskip("torch")
    onnxruntime = pytest.importorskip("onnxruntime")
    from torch.utils.flop_counter import FlopCounterMode

    module = network.to_torch(seed=3)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        ours = module(inputs).numpy()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = network.to_onnx(seed=3, batch=None)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    theirs = session.run(None, {"input": inputs.numpy()})[0]
    assert abs(ours - theirs).max() <= 1e-4 * abs(theirs).max()
    # Two operations a product, and two inputs.
    assert counter.get_total_flops() == 2 * 2 * network.costs["products"]
    assert sum(p.numel() for p in module.parameters()) == network.costs["params"]
    return module


@pytest.mark.parametrize("name", SPACES)
def test_vision_transformers_agree_with_onnx_runtime_and_pytorch(name):
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    space = lanner.Space(name)
    network = lanner.Network(space.sample(1, seed=4)[0], space)
    module = check(network, torch.randn(2, *network.input_shape))
    module.train()
    module(torch.randn(2, *network.input_shape)).square().mean().backward()
    assert all(p.grad is not None for p in module.parameters())
    assert "Softmax" in {layer["op"] for layer in network.layers}
    assert network.svg().startswith("<svg")


def test_language_models_read_tokens(tmp_path):
    torch = pytest.importorskip("torch")
    space = gpt(tmp_path)
    for arch in space.sample(4, seed=2):
        network = lanner.Network(arch, space)
        tokens = torch.randint(0, 300, (2, *network.input_shape))
        module = check(network, tokens)
        # A token sees those before it only.
        other = tokens.clone()
        other[:, 12:] = (other[:, 12:] + 1) % 300
        with torch.no_grad():
            before, after = module(tokens), module(other)
        assert torch.allclose(before[:, :12], after[:, :12], atol=1e-5)
        assert not torch.allclose(before[:, 12:], after[:, 12:], atol=1e-5)


def test_gpt_bench_is_counted_without_weights():
    space = lanner.Space("hw-gpt-l")
    network = lanner.Network(space.sample(1, seed=1)[0], space)
    assert network.input_shape == (1024,)
    assert network.costs["understood"] == 1.0
    with pytest.raises(lanner.InputError, match="int8 is for convolutions"):
        network.to_onnx(int8=True)


def test_what_transformers_have_not_is_told():
    arch = lanner.Space("autoformer-tiny").sample(1, seed=1)[0]
    with pytest.raises(lanner.InputError, match="channels is 8, expected 0"):
        lanner.Network(arch, "autoformer-tiny", channels=8)
    small = lanner.Network(arch, "autoformer-tiny", resolution=32, classes=5)
    assert small.input_shape == (3, 32, 32)
    assert json.dumps(small.layers[-1]["shapes"]) == "[[1, 5]]"
    with pytest.raises(lanner.InputError, match="no network of Lanner's own"):
        space = lanner.Space("hat-averages")
        lanner.Network(space.sample(1, seed=1)[0], space)


def test_transformers_are_measured(tmp_path):
    space = gpt(tmp_path)
    (arch,) = space.sample(1, seed=2)
    for device in (lanner.device("rten"), lanner.device("onnxruntime")):
        latency = lanner.measure(lanner.Network(arch, space), device=device)
        assert 0 < latency.ms < 1000
    study = lanner.create_study(
        space, maximize="score", limits=["latency_ms <= 1000"], device=lanner.device("onnxruntime"), seed=1
    )
    study.optimize(lambda trial: 1.0, n_trials=2)
    assert len(study.trials) == 2

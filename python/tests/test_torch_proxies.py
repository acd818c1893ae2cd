"""Proxies of PyTorch modules: equal to the engine's, and told where they are not defined."""

import copy
import math
import statistics

import pytest

import lanner

torch = pytest.importorskip("torch")
import lanner.torch  # noqa: E402

# Those that draw numbers of their own are compared in the mean.
DRAWN = {"zen", "swap_cell", "trainability"}
SMALL = {
    "nasbench201": {"channels": 4, "cells": 1},
    "nasbench101": {"channels": 8, "cells": 1},
    "transbench101-micro": {"channels": 8, "resolution": 32},
    "darts": {"channels": 4, "cells": 3},
    "fbnet": {"resolution": 32},
}


def batch_of(network, count, seed=1):
    torch.manual_seed(seed)
    images = torch.randn(count, *network.input_shape)
    return images, torch.arange(count) % 5


def of_engine(network, images, labels, names, seed=3):
    scores = network._inner.proxies(seed, images.flatten().tolist(), labels.tolist(), list(names))
    return dict(scores)


def tolerance(name):
    """Rounding in small eigenvalues, differences of large terms, and states of numbers near 0."""
    return {"zico": 5e-2, "lswag": 1e-2, "lswag_gradients": 1e-2, "grasp": 2e-2, "jacov": 1e-2, "epe_nas": 2e-2}.get(name, 3e-3)


@pytest.mark.parametrize("name", SMALL)
def test_they_are_those_of_the_engine(name):
    space = lanner.Space(name)
    for arch in space.sample(2, seed=5):
        network = lanner.Network(arch, space, pruned=False, classes=10, **SMALL[name])
        images, labels = batch_of(network, 20)
        found = lanner.torch.proxies(network.to_torch(seed=3), (images, labels))
        names = set(found) | set(found.absent)
        assert len(names) == 24
        expected = of_engine(network, images, labels, sorted(names - DRAWN))
        # Outputs behind a last batch norm sum up to a constant: their gradients are rounding, in DARTS in part.
        constant = {"transbench101-micro": {"jacov", "epe_nas"}, "darts": {"epe_nas"}}.get(name, set())
        for proxy, value in expected.items():
            if proxy in constant:
                continue
            if value is None:
                assert proxy in found.absent, proxy
                continue
            off = abs(found[proxy] - value) / max(abs(value), 1e-2)
            assert off < tolerance(proxy), f"{arch} {proxy}: {found[proxy]} for {value}"


def test_those_that_draw_agree_in_the_mean():
    network = lanner.Network("302143", channels=4, cells=1, pruned=False)
    images, labels = batch_of(network, 16)
    module = network.to_torch(seed=3)
    ours, theirs = {name: [] for name in DRAWN}, {name: [] for name in DRAWN}
    for seed in range(12):
        for name, value in of_engine(network, images, labels, DRAWN, seed).items():
            theirs[name].append(value)
        scores = lanner.torch.proxies(network.to_torch(seed=seed), (images, labels), names=DRAWN, seed=seed)
        for name, value in scores.items():
            ours[name].append(value)
    for name in DRAWN:
        error = math.hypot(*(statistics.stdev(v) / math.sqrt(len(v)) for v in (ours[name], theirs[name])))
        apart = abs(statistics.mean(ours[name]) - statistics.mean(theirs[name]))
        assert apart < 4 * error + 1e-9, (name, ours[name], theirs[name])
    again = lanner.torch.proxies(module, (images, labels), names=DRAWN, seed=1)
    assert again == lanner.torch.proxies(module, (images, labels), names=DRAWN, seed=1)


def test_one_at_a_time_they_are_the_same():
    network = lanner.Network("302143", channels=4, cells=1)
    images, labels = batch_of(network, 12)
    module = network.to_torch()
    together = lanner.torch.proxies(module, (images, labels))
    for name, value in together.items():
        alone = lanner.torch.proxies(module, (images, labels), names=[name])
        assert alone[name] == pytest.approx(value, rel=1e-5), name


def test_blocks_of_a_model_can_be_named():
    network = lanner.Network("302143", channels=4, cells=2)
    batch = batch_of(network, 12)
    known, unknown = network.to_torch(), lanner.to_torch(network.to_onnx(batch=None))
    names = ["expressivity", "trainability"]
    assert set(lanner.torch.proxies(unknown, batch, names=names).absent) == set(names)
    blocks = list(dict.fromkeys(layer["block"] for layer in network.layers[1:]))
    found = lanner.torch.proxies(unknown, batch, names=names, blocks=blocks)
    assert found == lanner.torch.proxies(known, batch, names=names) and set(found) == set(names)
    with pytest.raises(lanner.InputError, match="no part 'stage9'"):
        lanner.torch.proxies(unknown, batch, names=names, blocks=["stage9"])


def test_a_layer_by_hand():
    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(3, 2, bias=False)
            with torch.no_grad():
                self.linear.weight.copy_(torch.tensor([[3.0, 0.0, 0.0], [0.0, 0.0, 4.0]]))

        def forward(self, x):
            return torch.relu(self.linear(x))

    x = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, -1.0]])
    scores = lanner.torch.proxies(Plain(), (x, torch.tensor([0, 0])))
    assert scores["params"] == 6e-6 and scores["l2_norm"] == pytest.approx(5.0)
    # Patterns over the two images: one unit is on for the second image, the other for none.
    assert scores["swap"] == scores["swap_layers"] == 2
    # Logits (0, 0) and (3, 0), both of class 0; only the first unit passes a gradient, of the second image.
    slope = (math.exp(3) / (1 + math.exp(3)) - 1) / 2
    assert scores["grad_norm"] == pytest.approx(math.sqrt(2) * abs(slope), rel=1e-4)
    assert scores["snip"] == pytest.approx(3 * abs(slope), rel=1e-4)
    assert scores["flops"] == (6 + 2) / 1e6
    assert "no convolution" in scores.absent["meco"] and "blocks" in scores.absent["trainability"]


def test_a_module_stays_as_it_is():
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(inplace=True),
        torch.nn.Dropout(0.5), torch.nn.Flatten(), torch.nn.Linear(4 * 36, 3),
    )  # fmt: skip
    before, was_training = copy.deepcopy(module.state_dict()), module.training
    batch = torch.randn(6, 3, 8, 8), torch.arange(6) % 3
    first, state = lanner.torch.proxies(module, batch), torch.random.get_rng_state()
    assert first == lanner.torch.proxies(module, batch), "dropout, or running statistics, are in the values"
    assert torch.equal(state, torch.random.get_rng_state())
    assert module.training == was_training and all(p.grad is None for p in module.parameters())
    assert all(torch.equal(v, module.state_dict()[k]) for k, v in before.items())


def test_transformers_and_sequences():
    class Reader(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = torch.nn.Embedding(30, 16)
            layer = torch.nn.TransformerEncoderLayer(16, 2, 32, dropout=0.1, batch_first=True)
            self.layers = torch.nn.ModuleList([copy.deepcopy(layer) for _ in range(3)])
            self.head = torch.nn.Linear(16, 30)

        def forward(self, tokens, scale=1.0):
            x = self.embed(tokens) * scale
            for layer in self.layers:
                x = layer(x)
            return self.head(x)

    torch.manual_seed(0)
    tokens = torch.randint(30, (10, 7))
    scores = lanner.torch.proxies(Reader(), ({"tokens": tokens}, tokens))
    for name in ("grad_norm", "snip", "grasp", "fisher", "vkdnw", "zico", "expressivity", "trainability"):
        assert math.isfinite(scores[name]), name
    assert "norm" in scores.absent["synflow"] and "floating" in scores.absent["jacov"]
    assert set(scores).isdisjoint(scores.absent) and len(scores) + len(scores.absent) == 24
    named = lanner.torch.proxies(
        Reader(), (tokens, tokens), names=["expressivity"], blocks=["layers.0", "layers.1", "layers.2"]
    )
    assert set(named) == {"expressivity"}


def test_wrong_arguments_are_told():
    module, batch = torch.nn.Linear(3, 2), (torch.randn(4, 3), torch.tensor([0, 1, 0, 1]))
    with pytest.raises(lanner.InputError, match="no proxy 'nwo'"):
        lanner.torch.proxies(module, batch, names=["nwo"])
    with pytest.raises(lanner.InputError, match="no part 'stem'"):
        lanner.torch.proxies(module, batch, blocks=["stem"])
    with pytest.raises(lanner.InputError, match="inputs, labels"):
        lanner.torch.proxies(module, batch[0])
    with pytest.raises(lanner.InputError, match="expected classes"):
        lanner.torch.proxies(module, (batch[0], batch[0]))
    with pytest.raises(lanner.InputError, match=r"no torch\.nn\.Module"):
        lanner.torch.proxies(lambda x: x, batch)


def test_arguments_are_told_by_name_and_value():
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))
    images, labels = torch.randn(4, 1, 8, 8), torch.arange(4) % 3
    for settings, says in [
        ({"names": 5}, "names is 5, an int, expected a text as 'synflow'"),
        ({"names": "nwat"}, "no proxy 'nwat'"),
        ({"seed": "a"}, "seed is 'a', a str"),
        ({"blocks": 5}, "blocks is 5, an int"),
        ({"batch": (images[:3], labels)}, "the batch has 3 inputs, but 4 labels"),
    ]:
        with pytest.raises(lanner.InputError, match=says):
            lanner.torch.proxies(**{"module": module, "batch": (images, labels)} | settings)
    assert lanner.torch.proxies(module, (images, labels), names="params") == {"params": 195 / 1e6}

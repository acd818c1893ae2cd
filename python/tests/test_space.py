"""Spaces, networks and what is counted on ONNX models."""

import pytest

import lanner
from conftest import spaces_with_networks


def resnets():
    return lanner.space(
        "resnets",
        depth=lanner.Int(2, 6),
        width=lanner.Choice(32, 64, 128),
        act=lanner.Choice("relu", "gelu"),
        lr=lanner.Float(1e-4, 1e-1, log=True, network=False),
        block=lanner.Repeat("depth", kernel=lanner.Choice(3, 5, 7), expand=lanner.Choice(2, 4)),
        se=lanner.When({"act": "relu"}, lanner.Choice(False, True)),
    )


def test_parameters_are_dictionaries():
    space = resnets()
    archs = space.sample(200, seed=1)
    for arch in archs:
        assert list(arch)[:5] == ["depth", "width", "act", "lr", "block"]
        assert 2 <= arch["depth"] <= 6 and len(arch["block"]) == arch["depth"]
        assert all(b["kernel"] in (3, 5, 7) and b["expand"] in (2, 4) for b in arch["block"])
        assert ("se" in arch) == (arch["act"] == "relu") and 1e-4 <= arch["lr"] <= 1e-1
        assert space.check(arch) == arch and arch in space
    # Half of the learning rates are below the middle in logarithms, not in numbers.
    assert 70 < sum(a["lr"] < 10**-2.5 for a in archs) < 130
    assert {a["depth"] for a in archs} == {2, 3, 4, 5, 6}
    child = space.mutate(archs[0], seed=2)
    assert child != archs[0] and child in space


def test_a_space_of_parameters_is_one_of_a_file(tmp_path):
    space = resnets()
    (tmp_path / "s.toml").write_text(space.toml)
    same = lanner.Space(tmp_path / "s.toml")
    assert same == space and same.sample(5) == space.sample(5)
    import numpy

    arch = {**space.sample()[0], "width": numpy.int64(64)}
    assert space.check(arch)["width"] == 64


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({}, "parameter"),
        ({"a": lanner.Choice()}, "a"),
        ({"a": lanner.Choice(1, 1)}, "a"),
        ({"a": lanner.Int(3, 2)}, "a"),
        ({"a": lanner.Float(0.0, 1.0, log=True)}, "log"),
        ({"a": lanner.Float(0.0, float("nan"))}, "a value is no number"),
        ({"n": lanner.Float(1.0, 3.0), "a": lanner.Repeat("n", k=lanner.Choice(1, 2))}, "n"),
        ({"a": lanner.Repeat("n", k=lanner.Choice(1, 2))}, "n"),
        ({"a": 3}, "expected lanner.Int"),
        ({"a": lanner.When({"b": 1}, lanner.Choice(1, 2))}, "b"),
    ],
)
def test_parameters_that_make_no_space(parameters, says):
    with pytest.raises(lanner.InputError, match=says):
        lanner.space(**parameters)


@pytest.mark.parametrize("arch", [3, None, {"depth": 2}, "{}", {"depth": {1}}, ["a"]])
def test_other_values_are_no_architectures(arch):
    with pytest.raises(lanner.InputError):
        resnets().check(arch)
    assert arch not in resnets() and arch not in lanner.Space("darts")


def test_unknown_spaces_and_wrong_sizes():
    with pytest.raises(lanner.InputError, match=r"unknown search space 'nasbench202'; known: .*darts"):
        lanner.Space("nasbench202")
    with pytest.raises(lanner.InputError, match="channels is 0"):
        lanner.Network("333333", channels=0)
    with pytest.raises(lanner.InputError, match="too many to list"):
        list(lanner.Space("darts"))
    with pytest.raises(lanner.InputError):
        lanner.Network(resnets().sample()[0], resnets())
    assert len(set(lanner.Space("nas-bench-macro"))) == 6561


@pytest.mark.parametrize("name", list(spaces_with_networks()))
def test_costs_counted_on_onnx_are_those_of_the_network(name, tmp_path):
    onnx = pytest.importorskip("onnx")
    space = lanner.Space(name)
    # The weights of the published network are 100 MB.
    sizes = {"channels": 16} if name == "transbench101-macro" else {}
    for arch in space.sample(2, seed=3):
        network = lanner.Network(arch, space, **sizes)
        model = network.to_onnx()
        # Shapes by ONNX's own inference.
        inferred = onnx.shape_inference.infer_shapes(onnx.load_from_string(model))
        costs = lanner.onnx_cost(inferred.SerializeToString())
        for cost in ("flops", "macs", "params"):
            assert costs[cost] == network.costs[cost], (arch, cost)
    network.to_onnx(tmp_path / "n.onnx", fold=True)
    assert (tmp_path / "n.onnx").read_bytes() == network.to_onnx(fold=True) != model
    assert network._repr_svg_().startswith("<svg")
    assert sum(layer["params"] for layer in network.layers) == network.costs["params"]

"""Spaces of parameters in studies, and own PyTorch networks."""

import copy
import json
import math

import pytest

import lanner

SPACE = lanner.space(
    "mine",
    depth=lanner.Int(1, 3),
    lr=lanner.Float(1e-4, 1e-1, log=True, network=False),
    block=lanner.Repeat("depth", width=lanner.Choice(4, 8, 16)),
)


def score(trial):
    return sum(b["width"] for b in trial.arch["block"]) - abs(trial.arch["lr"] - 0.01)


def cost(arch):
    return {"latency_ms": (1.0 + sum(b["width"] for b in arch["block"]), 0.01)}


def test_parameters_are_searched_within_a_measured_limit(tmp_path):
    def begin():
        return lanner.create_study(
            SPACE, maximize="score", limits=["latency_ms <= 26"], measure=cost, first_measurements=6,
            storage=tmp_path / "s", load_if_exists=True, seed=1,
        )  # fmt: skip

    study = begin()
    study.optimize(score, total_trials=8)
    del study
    study = begin()
    study.optimize(score, total_trials=20)
    assert study.counts["done"] == 20
    trained = [t for t in study.trials if t.state == "done"]
    assert all(cost(t.arch)["latency_ms"][0] <= 26 for t in trained)
    assert study.best_value > 19
    assert {"params_depth", "params_lr", "params_block"} <= set(study.rows()[0])


def energy(arch):
    return cost(arch) | {"energy_mJ": 3 * arch["depth"] + sum(b["width"] for b in arch["block"])}


def test_limits_of_other_measured_metrics_hold_before_a_training(tmp_path):
    measured = []

    def begin(measure=lambda arch: measured.append(arch) or energy(arch)):
        return lanner.create_study(
            SPACE, maximize="score", limits=["energy_uJ <= 25000", "latency_ms <= 30"], measure=measure,
            first_measurements=6, storage=tmp_path / "s", load_if_exists=True, seed=1,
        )  # fmt: skip

    study, trained = begin(), []
    study.optimize(lambda trial: trained.append(trial.arch) or score(trial), n_trials=12)
    assert len(trained) == 12
    assert all(energy(arch)["energy_mJ"] <= 25 for arch in trained)
    # One call gave both metrics of a network.
    latencies = [m for m in study.measurements if m["metric"] == "latency_ms"]
    # A trial shows what was measured last of its network, as do the command's exports.
    newest = {json.dumps(m["arch"]): m["value"] for m in latencies}
    assert all(t.metrics["latency_ms"] == newest[json.dumps(t.arch)] for t in study.trials if t.state == "done")
    energies = [m for m in study.measurements if m["metric"] == "energy_uJ"]
    assert all(m["value"] == pytest.approx(1000 * energy(m["arch"])["energy_mJ"]) for m in energies)
    assert len(measured) < len(latencies) + len(energies)
    del study
    with pytest.raises(lanner.StudyError, match="no function measures energy_uJ"):
        begin(measure=None)
    begin().optimize(score, n_trials=1)


@pytest.mark.parametrize("second", [{"latency_ms": 1.0}, {"energy_mJ": "high"}, {"energy_mJ": math.nan}])
def test_a_measure_function_that_leaves_out_a_limited_metric_is_told(second):
    returned = iter([{"energy_mJ": 1.0}])
    study = lanner.create_study(
        SPACE, maximize="score", limits=["energy_mJ <= 9"], measure=lambda _: next(returned, second)
    )
    with pytest.raises(lanner.MeasureError, match="measure returned"):
        study.optimize(score, n_trials=5)


def test_copies_of_a_layer_have_parameters_of_their_own():
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from lanner._export import as_trained, to_onnx

    one = torch.nn.Linear(16, 16)
    copies = [copy.deepcopy(one) for _ in range(3)]
    tied = torch.nn.Sequential(*copies, copies[0])
    as_trained(tied)
    # The tied layer is one, and copies become others by training.
    assert lanner.onnx_cost(to_onnx(tied, torch.zeros(1, 16)))["params"] == 3 * (16 * 16 + 16)


def test_own_networks_are_measured_before_they_are_trained(tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    example = torch.zeros(1, 3, 8, 8)

    def build(arch):
        widths = [3, *(b["width"] for b in arch["block"])]
        layers = [torch.nn.Conv2d(i, o, 3) for i, o in zip(widths, widths[1:], strict=False)]
        return torch.nn.Sequential(*layers)

    def params(module):
        return sum(p.numel() for p in module.parameters())

    study = lanner.create_study(
        SPACE, maximize="score", limits=["latency_ms <= 1000", "params <= 900"], build=build,
        example_input=example, device=lanner.device("rten"), first_measurements=2, storage=tmp_path / "s",
    )  # fmt: skip

    def train(trial):
        assert torch.equal(trial.module()[0].weight, trial.module()[0].weight)
        trial.save(trial.module(), example)
        return score(trial)

    study.optimize(train, n_trials=2)
    assert all(t.module() and params(t.module()) <= 900 for t in study.trials if t.state == "done")
    model = study.export(tmp_path / "best.onnx").read_bytes()
    costs = lanner.onnx_cost(model)
    module = build(study.best_arch)
    assert costs["params"] == params(module)
    # Each value of an output takes a kernel and a bias.
    macs, size = 0, 8
    for layer in module:
        size -= 2
        macs += layer.out_channels * size * size * (9 * layer.in_channels + 1)
    assert costs["macs"] == costs["flops"] == macs


def test_exports_that_fail_are_told():
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")

    class Eigenvalues(torch.nn.Module):
        def forward(self, x):
            return torch.linalg.eig(x)[0].real

    def study(build):
        return lanner.create_study(
            SPACE, maximize="score", limits=["latency_ms <= 9"], build=build,
            example_input=torch.zeros(1, 3, 3), device=lanner.device("rten"),
        )  # fmt: skip

    for build, says in [
        (lambda arch: 1 / 0, "build raised ZeroDivisionError for"),
        (lambda arch: None, "build returned None for each of the first 100 networks, expected a torch.nn.Module"),
        (lambda arch: Eigenvalues(), "operator aten.linalg_eig"),
    ]:
        with pytest.raises(lanner.ExportError, match=says):
            study(build).optimize(score, n_trials=1)


def test_exports_fall_back_and_take_several_inputs():
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    from lanner._export import to_onnx

    torch.manual_seed(1)
    image = torch.randn(1, 3, 8, 8)

    def outputs(model, **inputs):
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        return torch.tensor(session.run(None, {n: x.numpy() for n, x in inputs.items()})[0])

    # PyTorch's exporter refuses traced modules; its older one takes them.
    conv = torch.nn.Conv2d(3, 4, 3)
    model = to_onnx(torch.jit.trace(conv, image), image)
    name = onnxruntime.InferenceSession(model).get_inputs()[0].name
    assert torch.allclose(outputs(model, **{name: image}), conv(image), atol=1e-6)
    assert lanner.onnx_cost(model)["params"] == 4 * 3 * 9 + 4

    class Scaled(torch.nn.Module):
        def forward(self, image, scale):
            return conv(image) * scale

    scale = torch.full((1,), 3.0)
    for example in ((image, scale), {"scale": scale, "image": image}):
        model = to_onnx(Scaled(), example)
        assert torch.allclose(outputs(model, image=image, scale=scale), 3 * conv(image), atol=1e-5)

    class Decides(torch.nn.Module):
        def forward(self, x):
            return x * 2 if x.sum() > 0 else x

    # The older exporter would write the branch that the example takes.
    with pytest.raises(lanner.ExportError, match="data-dependent"):
        to_onnx(Decides(), image)
    for example in ((), {}, 3, (image, 2)):
        with pytest.raises(lanner.InputError, match="example_input"):
            to_onnx(Decides(), example)


def test_costs_of_measured_networks_are_kept_for_predictors():
    def measure(arch):
        width = sum(b["width"] for b in arch["block"])
        return {"latency_ms": 0.1 * width, "flops": 1e6 * width, "params": 1e3 * width, "color": "red"}

    study = lanner.create_study(
        SPACE, maximize="score", limits=["latency_ms <= 3"], measure=measure, first_measurements=8, seed=1
    )
    study.optimize(score, n_trials=12)
    found = {name: {} for name in ("latency_ms", "flops", "params")}
    for m in study.measurements:
        found[m["metric"]][SPACE.text(m["arch"])] = m["value"]
    assert len(found["flops"]) >= 20 and found["flops"].keys() == found["params"].keys() == found["latency_ms"].keys()
    assert all(found["flops"][text] == pytest.approx(1e7 * ms) for text, ms in found["latency_ms"].items())
    # Without a limit nothing is built before a training.
    plain = lanner.create_study(SPACE, maximize="score", build=lambda arch: 1 / 0, example_input=0, seed=1)
    plain.optimize(score, n_trials=3)
    assert plain.measurements == []


def test_a_device_that_refuses_every_network_ends_the_search():
    for limits in (["latency_ms <= 3"], ["energy_mJ <= 3"]):
        study = None
        with pytest.raises((lanner.MeasureError, lanner.StudyError), match="networks"):
            study = lanner.create_study(SPACE, maximize="score", limits=limits, measure=lambda _: None)
            study.optimize(score, n_trials=3)
        assert study is None or study.counts["done"] == 0

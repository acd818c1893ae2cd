"""Mistakes that users make are told by lanner's errors, with the value and the way out."""

import math
import os
import subprocess
import sys

import pytest

import lanner

SPACE = lanner.space("mine", depth=lanner.Int(1, 8), lr=lanner.Float(1e-4, 1e-1, log=True, network=False))
ARCHS = lanner.Space("nasbench201").sample(60, seed=3)
COSTS = [lanner.Network(a).costs["flops"] / 1e6 for a in ARCHS]


def ms(arch):
    return {"latency_ms": float(arch["depth"])}


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"w": lanner.Choice([32, 64])}, r"w: \[32, 64\] is no single value.*Choice\(\*values\)"),
        ({"w": lanner.Choice(None, 64)}, "w: None is no number"),
        ({"w": lanner.Choice(2**70)}, "w: .* beyond 64 bits"),
        ({"w": lanner.Int(2.0, 5)}, "w: a bound of Int is 2.0, a float"),
        ({"b": lanner.Repeat(3, k=lanner.Choice(1, 3))}, "b: the length of Repeat is 3, expected the name"),
        ({"d": lanner.Int(0, 8, log=True)}, "logarithm"),
    ],
)
def test_parameters_are_told_by_their_names(parameters, says):
    with pytest.raises(lanner.InputError, match=says):
        lanner.space(**parameters)


def test_spaces_with_real_numbers_are_not_counted():
    assert "3.4" not in repr(SPACE) and repr(lanner.space("s", w=lanner.Choice(1, 2))) == "Space('s', 2 architectures)"
    with pytest.raises(lanner.InputError, match=r"load_study, was given no build=.*to_torch"):
        lanner.create_study(SPACE, maximize="score").ask()[0].module()


def test_values_of_numpy_declare_a_space_and_integers_may_be_logarithmic():
    numpy = pytest.importorskip("numpy")
    one = lanner.space("s", w=lanner.Choice(*numpy.array([8, 16])), d=lanner.Int(numpy.int64(1), 512, log=True))
    assert one == lanner.space("s", w=lanner.Choice(8, 16), d=lanner.Int(1, 512, log=True))
    assert one != lanner.space("s", w=lanner.Choice(8, 16), d=lanner.Int(1, 512))
    study = lanner.create_study(one, maximize="score", seed=1)
    study.optimize(lambda trial: -abs(math.log(trial.arch["d"] / 20)), n_trials=20)
    # On the scale of ratios 20 is in the middle; a uniform draw is below 64 once in eight.
    assert sum(t.arch["d"] < 64 for t in study.trials) > 10


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"limits": [("latency_ms", 5)]}, "limits: .*is no text, expected as 'latency_ms <= 5'"),
        ({"maximize": None}, "no objective"),
        ({"seed": -1}, "seed is -1, expected 0 or more"),
        ({"seed": "a"}, "seed is 'a', a str"),
        ({"first_measurements": -1}, "first_measurements is -1"),
        ({"space": {"depth": [1, 2]}}, "space is .*lanner.space"),
        ({"example_input": 1}, "example_input= is for build="),
        ({"device": lanner.device("rten")}, "device= measures .* give build="),
        ({"build": 3, "example_input": 1}, "build is 3, expected a function"),
    ],
)
def test_settings_of_a_study(settings, says, tmp_path):
    with pytest.raises(lanner.InputError, match=says):
        lanner.create_study(**{"space": SPACE, "maximize": "score", "storage": tmp_path / "s", **settings})
    assert not (tmp_path / "s").exists()


def test_a_single_limit_is_a_text_with_digits_in_groups():
    study = lanner.create_study(SPACE, maximize="score", limits="params <= 60_000")
    assert study.limits == ["params <= 60000"]
    with pytest.raises(lanner.InputError, match="limit 'params<=_6'"):
        lanner.create_study(SPACE, maximize="score", limits="params<=_6")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"train": 3}, "train is 3, expected a function"),
        ({"callbacks": print}, "callbacks is .*a list of functions"),
        ({"timeout": "3"}, "timeout is '3'"),
        ({"n_trials": 1.5}, "n_trials is 1.5, a float"),
        ({"n_jobs": 0}, "n_jobs is 0, expected 1 or more"),
    ],
)
def test_settings_of_optimize_train_nothing(settings, says):
    study = lanner.create_study(SPACE, maximize="score")
    with pytest.raises(lanner.InputError, match=says):
        study.optimize(**{"train": lambda _: 1.0, "n_trials": 1, **settings})
    assert not study.trials


@pytest.mark.parametrize("wrong", [(1.0, 0.1, 0.2), "1.0", True, [1.0, 1.1]])
def test_latencies_that_are_no_numbers(wrong):
    study = lanner.create_study(
        SPACE, maximize="score", limits=["latency_ms <= 5"], measure=lambda _: {"latency_ms": wrong}
    )
    with pytest.raises(lanner.MeasureError, match="measure returned latency_ms = .*expected a number"):
        study.optimize(lambda _: 1.0, n_trials=1)


def test_latencies_in_other_units_are_converted():
    study = lanner.create_study(
        SPACE, maximize="depth", limits=["latency_ms <= 5"], first_measurements=5,
        measure=lambda arch: {"latency_us": (1000.0 * arch["depth"], 1.0)},
    )  # fmt: skip
    study.optimize(lambda trial: trial.arch["depth"], n_trials=8)
    assert study.best_value == 4 and study.best_trial.metrics["latency_ms"] == pytest.approx(4)


def test_a_study_goes_on_with_what_measured_before(tmp_path):
    def begin(space=SPACE, **given):
        return lanner.create_study(
            space, maximize="score", limits=["latency_ms <= 50"], storage=tmp_path / "s", load_if_exists=True,
            first_measurements=3, **given,
        )  # fmt: skip

    begin(measure=ms).optimize(lambda trial: trial.arch["depth"], n_trials=2)
    with pytest.raises(lanner.InputError, match="measured with a function, measure=; give measure="):
        begin()
    torch = pytest.importorskip("torch")
    given = {"build": lambda _: torch.nn.Linear(2, 2), "example_input": torch.zeros(1, 2)}
    with pytest.raises(lanner.InputError, match="measured with runtime .*, now it is rten"):
        begin(**given, device=lanner.device("rten"))
    other = lanner.space("mine", depth=lanner.Int(1, 9), lr=lanner.Float(1e-4, 1e-1, log=True, network=False))
    with pytest.raises(lanner.InputError, match="another space: depth was 1 to 8, now is 1 to 9"):
        begin(other, measure=ms)
    begin(measure=ms).optimize(lambda trial: trial.arch["depth"], n_trials=1)
    assert begin(measure=ms).counts["done"] == 3


def test_latencies_of_two_devices_are_not_mixed(tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")

    def begin(threads):
        return lanner.create_study(
            SPACE, maximize="score", limits=["latency_ms <= 1000"], storage=tmp_path / "s", load_if_exists=True,
            build=lambda arch: torch.nn.Linear(2, arch["depth"]), example_input=torch.zeros(1, 2),
            device=lanner.device("rten", threads=threads), first_measurements=1,
        )  # fmt: skip

    begin(1).optimize(lambda _: 1.0, n_trials=1)
    with pytest.raises(lanner.InputError, match="measured with threads 1, now it is 2"):
        begin(2)
    begin(1)


def test_a_study_is_opened_to_look_at_it(tmp_path):
    with pytest.raises(lanner.StudyError, match="there is no study"):
        lanner.load_study(tmp_path / "none")
    study = lanner.create_study(
        SPACE, maximize="score", limits=["energy_mJ <= 6"], storage=tmp_path / "s",
        measure=lambda arch: {"energy_mJ": float(arch["depth"])},
    )  # fmt: skip
    study.optimize(lambda trial: trial.arch["depth"], n_trials=4)
    del study
    before = {p.name: p.read_bytes() for p in (tmp_path / "s").iterdir() if p.suffix != ".db-shm"}
    seen = lanner.load_study(tmp_path / "s")
    assert seen.space == SPACE and seen.counts["done"] == 4 and seen.limits == ["energy_mJ <= 6"]
    assert seen.best_value == max(t.arch["depth"] for t in seen.trials if t.state == "done") and len(seen.rows()) == len(seen.trials) and "svg" in seen.svg()
    assert seen.directions == {"score": "maximize"} and seen.measurements
    for use in (lambda: seen.ask(), lambda: seen.optimize(lambda _: 1.0, 1), lambda: seen.tell(1, 1.0)):
        with pytest.raises(lanner.StudyError, match="opened to look at it"):
            use()
    assert before == {p.name: p.read_bytes() for p in (tmp_path / "s").iterdir() if p.name in before}
    assert seen.report(tmp_path / "r.html").stat().st_size > 1000


def test_metrics_are_learnt_by_their_names():
    fit = lanner.Predictor.fit
    accuracies = [90 + math.log(cost + 1) for cost in COSTS]
    best, _ = fit({"arch": ARCHS, "val_accuracy": accuracies}, "val_accuracy", method="ridge-counts").rank(1)[0]
    assert best.count("3x3") == 6 - best.count("1x1") - best.count("skip") and "nor_conv_3x3" in best
    rates = fit(ARCHS, COSTS, metric="images_per_s", method="ridge-counts")
    assert rates.rank(1)[0][1] > fit(ARCHS, COSTS, metric="net_ms", method="ridge-counts").rank(1)[0][1]
    assert "trained" in repr(lanner.adapt(ARCHS[:20], accuracies[:20], metric="top1"))
    with pytest.raises(lanner.InputError, match="result: the name does not tell .* give kind="):
        fit({"arch": ARCHS, "result": COSTS}, "result")
    with pytest.raises(lanner.InputError, match="val_loss is an error"):
        lanner.adapt(ARCHS, COSTS, metric="val_loss")
    assert fit({"arch": ARCHS, "result": COSTS}, "result", kind="latency", method="flops").metric == "result"


def test_tables_with_odd_rows():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"note": ["x"] * 60, "arch": ARCHS, "Latency [s] (p50)": [c / 1e5 for c in COSTS]})
    column = "Latency [s] (p50)"
    given = {"method": "ridge-counts"}
    predictor = lanner.Predictor.fit(frame, column, **given)
    expected = list(predictor.predict(ARCHS).median)
    assert predictor.metric == column and list(predictor.predict(frame).median) == expected
    # A missing value of a list is as one of a column.
    some = [None, *frame[column][1:]]
    one = lanner.Predictor.fit(ARCHS, some, metric=column, **given)
    two = lanner.Predictor.fit(frame[1:], column, **given)
    assert list(one.predict(ARCHS).median) == list(two.predict(ARCHS).median)
    for table, values, says in [
        (frame.rename(columns={"arch": "model"}), column, r"no column 'arch'; it has 'note', 'model', 'Lat"),
        (pandas.concat([frame, frame]), column, "two rows are of .*: keep one, or the mean of them"),
        (pandas.concat([frame, frame], axis=1), column, "2 columns 'arch'"),
        (frame["arch"], frame, "values: this is a table"),
        (ARCHS, column, "expected a table with a column 'arch', since values .*got a list"),
        (frame.assign(arch=[None, *ARCHS[1:]]), column, r"^column 'arch' \(Series\): there is no text in row 0$"),
    ]:
        with pytest.raises(lanner.InputError, match=says):
            lanner.Predictor.fit(table, values, **given)
    with pytest.raises(lanner.InputError, match="sources is .*, a DataFrame, expected the path of a table"):
        lanner.adapt(frame[:12], column, sources=[frame])


def test_trials_of_parameters_are_a_table_to_learn_from():
    study = lanner.create_study(SPACE, maximize="score", limits=["latency_ms <= 9"], measure=ms)
    study.optimize(lambda trial: trial.arch["depth"], n_trials=12)
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(study.rows())
    fitted = lanner.Predictor.fit(frame, "latency_ms", space=SPACE, method="ridge-counts")
    assert fitted.predict(frame).median[0] == pytest.approx(frame["latency_ms"][0], rel=0.5)


def test_networks_are_counted_as_they_are_after_training():
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")

    class Layer(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.linear = torch.nn.LayerNorm(16), torch.nn.Linear(16, 16)
            self.scale = torch.nn.Parameter(torch.ones(16))

        def forward(self, x):
            return x + self.scale * self.linear(self.norm(x))

    def build(arch):
        return torch.nn.Sequential(*(Layer() for _ in range(arch["depth"])))

    study = lanner.create_study(
        SPACE, maximize="score", limits=["params <= 1e6"], build=build, example_input=torch.zeros(1, 4, 16)
    )
    study.optimize(lambda trial: trial.arch["depth"], n_trials=3)
    for trial in study.trials:
        weights = sum(p.numel() for p in trial.module().parameters())
        assert trial.metrics["params"] == pytest.approx(weights, abs=4), trial.arch
    assert torch.equal(study.best_trial.module()[0].scale, torch.ones(16))


def test_signals_are_trained_elsewhere(tmp_path):
    text = """
        name = "signals"
        kind = "chain"
        stage = [{ depth = 1, width = [8, 16], block = "conv", kernel = 3 }]
        skeleton = { input = [1, 200], classes = 4, stem = 8 }
    """
    (tmp_path / "s.toml").write_text(text)
    space = lanner.Space(tmp_path / "s.toml")
    for use in (lambda: lanner.train(space.sample()[0], space), lambda: lanner.proxies(space.sample(), space)):
        with pytest.raises(lanner.InputError, match="take signals .*to_torch"):
            use()


def test_build_may_say_that_values_make_no_network():
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    space = lanner.space("s", width=lanner.Choice(4, 6, 8, 12), heads=lanner.Choice(1, 2, 3, 4))

    def build(arch):
        fits = arch["width"] % arch["heads"] == 0
        return torch.nn.Linear(4, arch["width"]) if fits else None

    for limit in ("params <= 1000", "latency_ms <= 1000"):
        study = lanner.create_study(
            space, maximize="score", limits=[limit], build=build, example_input=torch.zeros(1, 4),
            device=lanner.device("rten"), first_measurements=4,
        )  # fmt: skip
        study.optimize(lambda trial: trial.arch["width"] * trial.arch["heads"], n_trials=6)
        done = [t.arch for t in study.trials if t.state == "done"]
        assert len(done) == 6 and all(a["width"] % a["heads"] == 0 for a in done)
    never = lanner.create_study(
        space, maximize="score", limits=["params <= 1000"], build=lambda _: None, example_input=torch.zeros(1, 4)
    )
    with pytest.raises((lanner.MeasureError, lanner.StudyError, lanner.InputError)):
        never.optimize(lambda _: 1.0, n_trials=1)
        never.best_trial  # noqa: B018


def test_models_are_files_too(tmp_path):
    path = tmp_path / "net.onnx"
    model = lanner.Network("302143").to_onnx(path)
    assert lanner.onnx_cost(path) == lanner.onnx_cost(str(path)) == lanner.onnx_cost(model)
    with pytest.raises(lanner.InputError, match="none.onnx: No such file"):
        lanner.onnx_cost(tmp_path / "none.onnx")
    with pytest.raises(lanner.InputError, match="model is 3, an int, expected the bytes"):
        lanner.onnx_cost(3)
    one, two = lanner.measure((m for m in (str(path), path)), device=lanner.device("rten"))
    assert one.ms > 0 and two.ms > 0


def test_blocks_may_be_sequences_of_layers():
    torch = pytest.importorskip("torch")
    import lanner.torch

    def block(i, o):
        return torch.nn.Sequential(torch.nn.Conv1d(i, o, 3), torch.nn.BatchNorm1d(o), torch.nn.ReLU())

    net = torch.nn.Sequential(
        torch.nn.Sequential(block(1, 8), block(8, 8), block(8, 8)),
        torch.nn.AdaptiveAvgPool1d(1), torch.nn.Flatten(), torch.nn.Linear(8, 4),
    )  # fmt: skip
    batch = (torch.randn(8, 1, 32), torch.randint(0, 4, (8,)))
    found = lanner.torch.proxies(net, batch, names=["expressivity"])
    named = lanner.torch.proxies(net, batch, names=["expressivity"], blocks=["0.0", "0.1", "0.2"])
    assert found == named and found["expressivity"] > 0


FRONT = lanner.create_study(SPACE, maximize=["a", "b"])
WRONG = [
    (lambda: lanner.Profile.fit([1.0]), r"small is \[1.0\], a list, expected milliseconds by the number"),
    (lambda: lanner.Profile.fit({}, own={b"\x08\x01" * 900: -2}), "own, 1800 bytes: the latency is -2"),
    (lambda: lanner.Profile.load(None), "^path is None, expected the path of a file$"),
    (lambda: lanner.Predictor.load(5), "^path is 5, an int, expected the path of a file$"),
    (lambda: lanner.Predictor("p.lanner"), "made by Predictor.fit, lanner.adapt or Predictor.load"),
    (lambda: lanner.Space(None), "name is None, expected the name of a space, or the path of a .toml file"),
    (lambda: lanner.space({"w": lanner.Choice(1, 2)}), r"name is .*, a dict, .* lanner.space\(depth="),
    (lambda: lanner.space(w=lanner.Choice(1, True)), "w: Choice has 1 and True, which are equal"),
    (lambda: lanner.space(w=lanner.Int(1, 9, log="no")), "w: log is 'no', a str, expected True or False"),
    (lambda: lanner.When(5, lanner.Int(1, 2)), "When: conditions is 5, an int"),
    (lambda: lanner.When({"w": 1}, 5), "When: parameter is 5, an int, expected lanner.Int"),
    (lambda: lanner.create_study(SPACE, maximize="a", storage=5), "storage is 5, an int, .* a study's folder"),
    (lambda: lanner.create_study(SPACE, maximize="a", storage=__file__), "test_mistakes.py is a file, expected"),
    (lambda: lanner.create_study(SPACE, maximize="a", load_if_exists="no"), "load_if_exists is 'no', a str"),
    (lambda: lanner.create_study(SPACE, maximize="a", seed=2**64), "seed is 18446744073709551616, expected 0 to 9"),
    (lambda: lanner.create_study(SPACE, maximize="a", limits=["b <= 1", "b <= 2"]), "b <= 1 and b <= 2: give one"),
    (lambda: lanner.create_study(SPACE, maximize="a", limits=["b >= 3", "b <= 2"]), "no value keeps both"),
    (lambda: lanner.load_study(None), "storage is None, expected the path of a study's folder"),
    (lambda: FRONT.export(None), "path is None, expected the path of a file"),
    (lambda: FRONT.tell(1, failed=5), "failed is 5, an int, expected the reason as a text"),
    (lambda: FRONT.tell(1, [1.0, 2.0], failed="it"), "values and failed=, expected one of them"),
    (lambda: FRONT.tell(1, [1.0, math.nan]), "tell was given nan for 'b', expected a finite number"),
    (lambda: FRONT.tell(1, 1.0), "tell was given 1.0; give a dictionary with 'a' and 'b', or their numbers in"),
    (lambda: FRONT.optimize(print, 1, executor=5), "executor is 5, an int, expected a concurrent.futures.Executor"),
    (lambda: FRONT.optimize(print, 1, callbacks=5), "callbacks is 5, an int, expected a list of functions"),
    (lambda: FRONT.optimize(print, 1, timeout=True), "timeout is True, a bool, expected seconds"),
    (lambda: FRONT.optimize(print, True), "n_trials is True, a bool, expected a whole number"),
    (lambda: lanner.Predictor.fit(None, COSTS), "archs is None, expected a list of architectures"),
    (lambda: lanner.Predictor.fit(set(ARCHS), COSTS), "archs is {.*, a set, expected a list"),
    (lambda: lanner.Predictor.fit(ARCHS, 5), "values is 5, an int, expected a number for each architecture"),
    (lambda: lanner.Predictor.fit(ARCHS, [*COSTS[:59], "7"]), r"values\[59\] is '7', a str, expected a number"),
    (lambda: lanner.Predictor.fit(ARCHS, [True] * 60), r"values\[0\] is True, a bool"),
    (lambda: lanner.Predictor.fit(ARCHS, COSTS, metric=5), "metric is 5, an int, expected the name of a metric"),
    (lambda: lanner.Predictor.fit(ARCHS, COSTS, method=5), "method is 5, an int, expected the name of a method"),
    (lambda: lanner.adapt(ARCHS, COSTS, sources=5), "sources is 5, an int, expected a list of tables' files"),
    (lambda: lanner.Network("302143", channels="a"), "channels is 'a', a str, expected a whole number"),
    (lambda: lanner.Network("302143").to_onnx(seed=-1), "seed is -1, expected 0 or more"),
    (lambda: lanner.proxies(["302143"], threads=0), "threads is 0, expected 1 to 1024"),
    (lambda: lanner.train("302143", epochs="a"), "epochs is 'a', a str, expected a whole number"),
    (lambda: lanner.images(5), "name is 5, an int, expected digits"),
    (lambda: lanner.measure({"302143"}, device=lanner.device("rten")), "networks is {'302143'}, a set, expected"),
]


@pytest.mark.parametrize(("call", "says"), WRONG)
def test_arguments_are_told_by_name_and_value(call, says):
    with pytest.raises(lanner.InputError, match=says):
        call()
    assert not FRONT.trials


def test_arrays_of_several_dimensions_and_of_truth_values():
    numpy = pytest.importorskip("numpy")
    values = numpy.array(COSTS)
    for wrong, says in [
        (values[:, None], r"values has the shape \(60, 1\), expected a number for each"),
        (values > 9, r"values\[0\] is .*, a bool_?, expected a number"),
        (values.astype(str), r"values\[0\] is .*, a str_, expected a number"),
    ]:
        with pytest.raises(lanner.InputError, match=says):
            lanner.Predictor.fit(ARCHS, wrong)
    predictor = lanner.Predictor.fit(ARCHS, values, method="flops")
    with pytest.raises(lanner.InputError, match=r"archs has the shape \(30, 2\)"):
        predictor.predict(numpy.array(ARCHS).reshape(30, 2))
    study = lanner.create_study(SPACE, maximize="score")
    study.optimize(lambda trial: numpy.float32(trial.arch["depth"]), timeout=numpy.float32(60), n_trials=1)
    assert study.counts["done"] == 1


def test_columns_of_objects_are_told_by_their_name():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"arch": ARCHS, "latency_ms": [*COSTS[:59], "fast"]})
    with pytest.raises(lanner.InputError, match="column 'latency_ms'"):
        lanner.Predictor.fit(frame, "latency_ms")
    frame = pandas.DataFrame({"arch": [*ARCHS[:59], 7], "latency_ms": COSTS})
    with pytest.raises(lanner.InputError, match="column 'arch'"):
        lanner.Predictor.fit(frame, "latency_ms")


def test_files_of_profiles_and_predictors_name_each_other(tmp_path):
    lanner.Predictor.fit(ARCHS, COSTS, method="flops").save(tmp_path / "predictor")
    lanner.Profile.fit({n: 1.0 + n for n in range(30)}).save(tmp_path / "profile")
    with pytest.raises(lanner.InputError, match="the profile of a device, .* in Python lanner.Profile.load"):
        lanner.Predictor.load(tmp_path / "profile")
    with pytest.raises(lanner.InputError, match="lanner.Predictor.load reads predictors"):
        lanner.Profile.load(tmp_path / "predictor")


def test_conditions_of_a_set_are_the_same_space_in_each_process():
    """Texts of a set come in another order in each process."""
    make = "import lanner; print(lanner.space(a=lanner.Choice(*'abcdef'), b=lanner.When({'a': set('abcde')}, "
    make += "lanner.Choice(1, 2))).toml)"
    seen = {
        subprocess.run(
            [sys.executable, "-c", make], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(seen) == 1

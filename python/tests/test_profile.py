"""Profiles: latencies of any network from measurements of small ones."""

import math
import random

import pytest

import lanner
from lanner import Network, Profile


def cost_ms(model):
    """The latency on a device whose time is known: a microsecond a node, a nanosecond for 10 products."""
    costs = lanner.onnx_cost(model)
    return 1e-3 * costs["nodes"] + costs["macs"] / 1e7


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    path = tmp_path_factory.mktemp("profile") / "toy.lanner"
    return lanner.profile(path, measure=cost_ms, networks=150)


def test_networks_of_other_kinds_are_predicted(profile, tmp_path):
    space = lanner.Space("nasbench201")
    networks = [Network(arch, space) for arch in space.sample(20, seed=3)]
    networks += [Network(lanner.Space("autoformer-tiny").sample(1, seed=0)[0], "autoformer-tiny")]
    forecast = profile.predict(networks)
    true = [cost_ms(n.to_onnx(fold="autoformer" not in n.space.name)) for n in networks]
    errors = sorted(abs(math.log(p / t)) for p, t in zip(forecast.median, true))
    assert errors[10] < 0.15, errors
    covered = sum(low <= t <= high for low, t, high in zip(forecast.lower, true, forecast.upper))
    assert covered >= 15
    path = tmp_path / "one.onnx"
    model = networks[0].to_onnx(path, fold=True)
    assert profile.predict(path).median[0] == profile.predict([model]).median[0] == forecast.median[0]
    assert len(profile.predict([]).median) == 0


def test_own_networks_sharpen_what_is_like_them(profile):
    space = lanner.Space("nasbench201")
    models = [Network(arch, space).to_onnx(fold=True) for arch in space.sample(24, seed=5)]
    # A device on which these networks take half as long again as the small ones tell.
    true = [1.5 * cost_ms(model) for model in models]
    small = {n: cost_ms(Profile.small_network(n)) for n in range(150)}
    own = Profile.fit(small, own=list(zip(models[:12], true)))
    error = lambda p: sum(abs(math.log(m / t)) for m, t in zip(p.predict(models[12:]).median, true[12:])) / 12
    assert error(own) < 0.5 * error(Profile.fit(small))


def test_interrupted_profile_goes_on(tmp_path):
    path, asked = tmp_path / "toy.lanner", []

    def stops(model):
        asked.append(model)
        if len(asked) == 30:
            raise KeyboardInterrupt
        return cost_ms(model)

    with pytest.raises(KeyboardInterrupt):
        lanner.profile(path, measure=stops, networks=40)
    assert not path.exists()
    table = tmp_path / "toy.lanner.csv"
    # A row whose end the power failure took.
    table.write_text(table.read_text() + "probe-9")
    made = lanner.profile(path, measure=stops, networks=40)
    assert len(asked) == 41 and made.measured == 40
    # No time, no measurement: the same numbers are fitted again.
    again = lanner.profile(path, measure=stops, networks=40, minutes=0)
    assert len(asked) == 41
    network = Network("302143")
    loaded = Profile.load(path).predict(network)
    for other in (made, again):
        assert all(a[0] == b[0] for a, b in zip(loaded, other.predict(network)))


def lstm(hidden, length="length"):
    onnx = pytest.importorskip("onnx")
    make, real = onnx.helper, onnx.TensorProto.FLOAT
    weights = [make.make_tensor(name, real, [1, 4 * hidden, hidden], [0.0] * 4 * hidden**2) for name in "wr"]
    graph = make.make_graph(
        [make.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=hidden)],
        "lstm",
        [make.make_tensor_value_info("x", real, [length, 1, hidden])],
        [make.make_tensor_value_info("y", real, None)],
        weights,
    )
    opset = [make.make_opsetid("", 17)]
    return make.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def test_kinds_that_were_never_measured_are_told(profile):
    model = lstm(40)
    with pytest.warns(UserWarning, match="too low: no measured network has recurrent"):
        profile.predict(model, dims={"length": 50})
    # Some of the kind teach what it costs.
    small = {n: cost_ms(Profile.small_network(n)) for n in range(150)}
    own = [(model, cost_ms(model)) for model in (lstm(width, 50) for width in (16, 24, 32, 48, 56))]
    (median,), _, _ = Profile.fit(small, own=own).predict(lstm(40, 50))
    assert 0.5 < median / cost_ms(lstm(40, 50)) < 2
    with pytest.raises(lanner.InputError, match="no input has an open dimension 'lenght'"):
        profile.predict(model, dims={"length": 50, "lenght": 50})
    with pytest.raises(lanner.InputError, match="expected a dictionary of sizes"):
        profile.predict(model, dims=[("length", 50)])


def test_refused_networks_are_left_out(tmp_path):
    odd = random.Random(1)
    made = lanner.profile(
        tmp_path / "toy.lanner", measure=lambda m: None if odd.random() < 0.2 else cost_ms(m), networks=60
    )
    assert 30 < made.measured < 60
    with pytest.raises(lanner.MeasureError, match="refuses the first 20"):
        lanner.profile(tmp_path / "none.lanner", measure=lambda model: None, networks=60)


def test_device_of_this_machine_is_measured(tmp_path):
    made = lanner.profile(tmp_path / "cpu.lanner", device=lanner.device("rten"), networks=24, minutes=2)
    assert made.measured == 24
    (median,), (lower,), (upper,) = made.predict(Network("302143"))
    assert 0 < lower < median < upper
    with pytest.raises(lanner.InputError, match="measured on another device.*rten"):
        lanner.profile(tmp_path / "cpu.lanner", measure=cost_ms)


def test_mistakes_are_named(profile, tmp_path):
    with pytest.raises(lanner.InputError, match="not both"):
        lanner.profile(tmp_path / "a", measure=cost_ms, device=lanner.device("rten"))
    with pytest.raises(lanner.InputError, match="measure is 5, expected a function"):
        lanner.profile(tmp_path / "a", measure=5)
    with pytest.raises(lanner.InputError, match="0 small networks are measured after 1e-09 minutes, 20 are needed"):
        lanner.profile(tmp_path / "short", measure=cost_ms, networks=20, minutes=1e-9)
    with pytest.raises(lanner.InputError, match="minutes is -1"):
        lanner.profile(tmp_path / "a", measure=cost_ms, minutes=-1)
    with pytest.raises(lanner.InputError, match="latency is -3"):
        lanner.profile(tmp_path / "a", measure=lambda model: -3)
    with pytest.raises(lanner.InputError, match="own is 3"):
        lanner.profile(tmp_path / "a", measure=cost_ms, own=3)
    with pytest.raises(lanner.InputError, match="none.onnx"):
        lanner.profile(tmp_path / "a", measure=cost_ms, own={"none.onnx": 2.0})
    (tmp_path / "b.csv").write_text("network,latency_ms\n")
    with pytest.raises(lanner.InputError, match="no measurements of lanner.profile"):
        lanner.profile(tmp_path / "b", measure=cost_ms)
    with pytest.raises(lanner.InputError, match="needs at least 20"):
        Profile.fit({n: 1.0 for n in range(5)})
    (tmp_path / "c.lanner").write_bytes(b"rubbish")
    with pytest.raises(lanner.InputError, match="lanner profile write"):
        Profile.load(tmp_path / "c.lanner")
    (tmp_path / "d.onnx").write_bytes(b"rubbish")
    with pytest.raises(lanner.InputError, match="d.onnx.*no ONNX model"):
        profile.predict([tmp_path / "d.onnx"])
    with pytest.raises(lanner.InputError, match="batch is 0"):
        profile.predict([Network("302143")], batch=0)


def test_models_may_be_byte_arrays_and_lanner_networks_have_any_batch(profile):
    network = Network("302143")
    one = network.to_onnx(fold=True)
    (expected,) = profile.predict(one).median
    for model in (bytearray(one), memoryview(one), [bytearray(one)], network, "302143"):
        assert list(profile.predict(model).median) == [expected]
    (many,) = profile.predict(network.to_onnx(fold=True, batch=16)).median
    for model in (network, "302143", network.to_onnx(fold=True, batch=None)):
        assert list(profile.predict(model, batch=16).median) == [many]
    assert many > 8 * expected
    with pytest.raises(lanner.InputError, match="the batch is fixed to 1, not 16"):
        profile.predict(one, batch=16)


def test_one_process_at_a_time_measures_into_a_file(tmp_path):
    path, seen = tmp_path / "toy.lanner", []

    def measure(model):
        if not seen:
            with pytest.raises(lanner.InputError, match="another process is measuring into this file"):
                lanner.profile(path, measure=cost_ms, networks=20)
            seen.append(model)
        return cost_ms(model)

    assert lanner.profile(path, measure=measure, networks=24).measured == 24
    assert lanner.profile(path, measure=cost_ms, networks=24).measured == 24


@pytest.mark.parametrize("row", ["probe-9,nan", "probe-9,-1", "probe-9,inf", "probe--9,1", "9,1", "probe-9", "probe-9,a"])
def test_rows_that_are_no_latencies(row, tmp_path):
    lanner.profile(tmp_path / "a", measure=cost_ms, networks=20)
    table = tmp_path / "a.csv"
    table.write_text(f"{table.read_text()}{row}\n")
    before = table.read_bytes()
    with pytest.raises(lanner.InputError, match=f"a.csv, line 24: '{row}', expected probe-NUMBER and milliseconds"):
        lanner.profile(tmp_path / "a", measure=cost_ms, networks=20, minutes=0)
    assert table.read_bytes() == before


def test_a_program_that_was_killed_while_it_began_the_table(tmp_path):
    made = lanner.profile(tmp_path / "a", measure=cost_ms, networks=20)
    (tmp_path / "b.csv").write_bytes((tmp_path / "a.csv").read_bytes()[:50])
    again = lanner.profile(tmp_path / "b", measure=cost_ms, networks=20)
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "a.csv").read_bytes()
    assert repr(made) == repr(again)

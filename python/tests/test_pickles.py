"""Spaces, predictors, profiles and networks go to other processes as they are; studies tell how to read them there."""

import copy
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import pytest
import workers

import lanner

SPACE = lanner.Space("nasbench201")
ARCHS = SPACE.sample(60, seed=1)
VALUES = [0.1 + lanner.Network(a, SPACE).costs["flops"] / 1e8 for a in ARCHS]


def again(value):
    return pickle.loads(pickle.dumps(value))


def parameters():
    return lanner.space(
        "mine", depth=lanner.Int(1, 8), lr=lanner.Float(1e-4, 1e-1, log=True, network=False),
        block=lanner.Repeat("depth", act=lanner.Choice("relu", "gelu")),
    )  # fmt: skip


@pytest.mark.parametrize("copied", [again, copy.copy, copy.deepcopy])
def test_spaces_are_the_same_again(copied, tmp_path):
    (tmp_path / "s.toml").write_text(parameters().toml)
    for space in (*map(lanner.Space, lanner.Space.NAMES), parameters(), lanner.Space(tmp_path / "s.toml")):
        other = copied(space)
        assert other == space and other.toml == space.toml and other.sample(3, seed=2) == space.sample(3, seed=2)


@pytest.mark.parametrize(
    "fit",
    [
        lambda: lanner.Predictor.fit(ARCHS[:30], VALUES[:30]),
        lambda: lanner.Predictor.fit(ARCHS[:30], VALUES[:30], kind="rate", method="ridge-pairs"),
        lambda: lanner.Predictor.fit(ARCHS[:30], VALUES[:30], kind="error"),
        lambda: lanner.Predictor.fit(ARCHS[:30], VALUES[:30], method="gcn"),
        lambda: lanner.adapt(ARCHS[:12], VALUES[:12], sources="built-in"),
        lambda: lanner.adapt(ARCHS[:20], VALUES[:20], kind="accuracy"),
    ],
)
def test_predictors_predict_the_same_bits(fit, tmp_path):
    predictor = fit()
    predictor.save(tmp_path / "one")
    for other in (again(predictor), copy.deepcopy(predictor)):
        for one, two in zip(predictor.predict(ARCHS), other.predict(ARCHS), strict=True):
            assert list(one) == list(two)
        other.save(tmp_path / "two")
        assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
        assert repr(other) == repr(predictor) and other.metric == predictor.metric


def test_sizes_of_a_table_stay_with_predictor_and_space(tmp_path):
    """Costs are counted on networks of the sizes that a table was measured on, as `lanner fit` keeps them."""
    rows = [f'"{arch}",{value}' for arch, value in zip(ARCHS, VALUES, strict=True)]
    table = "\n".join(["# skeleton: 8 channels, 1 cells", "arch,latency_ms", *rows])
    (tmp_path / "t.csv").write_text(table + "\n")
    workers.run("fit", tmp_path / "t.csv", "--metric", "latency_ms", "--folds", 0, "--out", tmp_path / "p.lanner")
    predictor = lanner.Predictor.load(tmp_path / "p.lanner")
    other = again(predictor)
    assert list(other.predict(ARCHS).median) == list(predictor.predict(ARCHS).median)
    few = [lanner.Network("302143", p.space).costs["params"] for p in (predictor, other)]
    assert few[0] == few[1] < lanner.Network("302143").costs["params"] / 4


def test_predictors_of_parameters_carry_their_space():
    space = parameters()
    archs = space.sample(40, seed=3)
    predictor = lanner.Predictor.fit(archs, [a["depth"] + a["lr"] for a in archs], space=space)
    other = again(predictor)
    assert other.space == space and list(other.predict(archs).median) == list(predictor.predict(archs).median)


def test_profiles_predict_the_same_bits(tmp_path):
    models = [lanner.Network(arch) for arch in ARCHS[:16]]
    small = {n: 1e-3 + lanner.onnx_cost(lanner.Profile.small_network(n))["macs"] / 1e7 for n in range(60)}
    for own in ((), [(m, v) for m, v in zip(models, VALUES, strict=False)]):
        profile = lanner.Profile.fit(small, own=own)
        other = again(profile)
        for one, two in zip(profile.predict(models), other.predict(models), strict=True):
            assert list(one) == list(two)
        profile.save(tmp_path / "one")
        other.save(tmp_path / "two")
        assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_networks_are_made_again():
    network = lanner.Network("302143", channels=8, cells=2, classes=7, pruned=False)
    other = again(network)
    assert other.to_onnx(seed=3) == network.to_onnx(seed=3) and repr(other) == repr(network)


def test_damaged_content_is_refused_as_a_damaged_file_is():
    predictor = lanner.Predictor.fit(ARCHS[:30], VALUES[:30], method="flops")
    make, (content, space) = predictor.__reduce__()
    for wrong in (content[:-1], content.replace(b'"kind', b'"kinb'), b"rubbish"):
        with pytest.raises(lanner.InputError, match="pickle"):
            make(wrong, space)
    with pytest.raises(lanner.InputError, match="is for the space 'nasbench201'"):
        make(content, parameters())


def test_spawned_workers_predict():
    predictor = lanner.Predictor.fit(ARCHS[:30], VALUES[:30], method="ridge-counts")
    profile = lanner.Profile.fit({n: 1.0 + n for n in range(40)})
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        there = pool.submit(workers.forecast, predictor, profile, ARCHS[:5]).result(120)
    assert there == workers.forecast(predictor, profile, ARCHS[:5])


def test_studies_are_read_in_workers_and_not_sent(tmp_path):
    study = lanner.create_study(SPACE, maximize="score", storage=tmp_path / "s")
    study.optimize(workers.score, n_trials=3)
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(lanner.StudyError, match=r"in a worker, lanner.load_study\('.*/s'\) reads it"):
            copied(study)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        with pytest.raises(lanner.StudyError, match="lanner.load_study"):
            pool.submit(workers.best_of, study).result(120)
        assert pool.submit(workers.best_of, tmp_path / "s").result(120) == study.best_value
    trial = again(study.best_trial)
    assert trial == study.best_trial and trial.folder == study.best_trial.folder

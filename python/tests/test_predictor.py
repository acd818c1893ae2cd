"""Predictors without a search."""

import pytest

import lanner

SPACE = lanner.Space("nasbench201")
ARCHS = SPACE.sample(150, seed=1)
VALUES = [0.1 + lanner.Network(a, SPACE).costs["flops"] / 1e8 for a in ARCHS]


def test_fit_predict_rank_save_load(tmp_path):
    numpy = pytest.importorskip("numpy")
    predictor = lanner.Predictor.fit(numpy.array(ARCHS[:60]), numpy.array(VALUES[:60]), space=SPACE)
    forecast = predictor.predict(ARCHS[60:])
    median, lower, upper = forecast
    assert isinstance(median, numpy.ndarray) and len(median) == 90
    assert (abs(median / VALUES[60:] - 1) < 0.1).mean() > 0.9
    assert (lower <= median).all() and (median <= upper).all()
    predictor.save(tmp_path / "p.lanner")
    again = lanner.Predictor.load(tmp_path / "p.lanner")
    assert (again.predict(ARCHS[60:]).median == median).all()
    assert (again.metric, again.space) == ("latency_ms", SPACE)
    ranked = again.rank(3, sample=500)
    assert [v for _, v in ranked] == sorted(v for _, v in ranked)
    assert ranked[0][1] == pytest.approx(again.predict([ranked[0][0]]).median[0], rel=1e-9)
    assert len(predictor.predict([]).median) == 0


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_columns_of_data_frames(library):
    frames = pytest.importorskip(library)
    frame = frames.DataFrame({"arch": ARCHS, "ms": VALUES})
    given = {"space": SPACE, "method": "ridge-counts"}
    one = lanner.Predictor.fit(frame["arch"], frame["ms"], **given).predict(frame["arch"])
    two = lanner.Predictor.fit(ARCHS, VALUES, **given).predict(ARCHS)
    assert list(one.median) == list(two.median)


def test_few_values_are_enough_with_a_table():
    predictor = lanner.adapt(ARCHS[:10], VALUES[:10], space=SPACE, sources=["built-in"])
    median = predictor.predict(ARCHS[10:]).median
    assert sum(abs(m / v - 1) < 0.2 for m, v in zip(median, VALUES[10:], strict=True)) > 100


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"values": VALUES[:3]}, "150 architectures, but 3 values"),
        ({"values": [-1.0, *VALUES[1:]]}, "latency_ms"),
        ({"values": ["x"] * 150}, "values"),
        ({"archs": ["333333"] * 150}, "333333|3x3"),
        ({"archs": "333333"}, "a list of architectures"),
        ({"archs": ["bad", *ARCHS[1:]]}, "'bad'"),
        ({"kind": "energy"}, "kind is 'energy'"),
        ({"method": "magic"}, "no method 'magic'.* there are: default"),
    ],
)
def test_values_that_teach_nothing(settings, says):
    settings = {"archs": ARCHS, "values": VALUES, "space": SPACE} | settings
    with pytest.raises(lanner.InputError, match=says):
        lanner.Predictor.fit(**settings)


def test_files_that_are_no_predictors(tmp_path):
    (tmp_path / "x").write_text("no")
    for path in (tmp_path / "x", tmp_path / "none"):
        with pytest.raises(lanner.InputError):
            lanner.Predictor.load(path)

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


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_columns_of_dictionaries(library):
    """Parameters that exist under a condition are None in a column where they do not."""
    frames = pytest.importorskip(library)
    space = lanner.space(
        "s", depth=lanner.Int(1, 3), act=lanner.Choice("relu", "gelu"), block=lanner.Repeat("depth", k=lanner.Int(1, 9)),
        se=lanner.When({"act": "relu"}, lanner.Choice(1, 2)),
    )  # fmt: skip
    archs = space.sample(40, seed=2)
    values = [a["depth"] + 0.1 * a["block"][0]["k"] for a in archs]
    expected = lanner.Predictor.fit(archs, values, space=space, method="ridge-counts").predict(archs)
    column = frames.array(archs) if library == "pyarrow" else frames.Series(archs)
    found = lanner.Predictor.fit(column, values, space=space, method="ridge-counts").predict(column)
    assert list(found.median) == list(expected.median)


def test_few_values_are_enough_with_a_table():
    predictor = lanner.adapt(ARCHS[:10], VALUES[:10], space=SPACE, sources=["built-in"])
    median = predictor.predict(ARCHS[10:]).median
    assert sum(abs(m / v - 1) < 0.2 for m, v in zip(median, VALUES[10:], strict=True)) > 100


def test_a_prior_stands_in_for_trainings(tmp_path):
    """Values that one proxy tells: the other networks are ranked by it from ten on."""
    worth = [-v for v in VALUES]
    rows = [f'"{a}",{v}' for a, v in zip(ARCHS, worth, strict=True)]
    table = tmp_path / "proxies.csv"
    table.write_text("\n".join(["arch,nwot", *rows]) + "\n")
    given = {"space": SPACE, "kind": "accuracy"}
    # rank is made of the proxies that a table has.
    predictor = lanner.adapt(ARCHS[:10], worth[:10], prior=f"{table}:rank", **given)
    median = list(predictor.predict(ARCHS[10:]).median)
    order = sorted(range(140), key=median.__getitem__)
    better = sum(worth[10 + a] < worth[10 + b] for a, b in zip(order, order[70:], strict=False))
    assert better > 63
    assert "untrained scores: 150" in repr(predictor)
    fitted = lanner.Predictor.fit(ARCHS[:10], worth[:10], prior=table, **given)
    assert "untrained scores: 150" in repr(fitted)
    median = list(fitted.predict(ARCHS[10:]).median)
    order = sorted(range(140), key=median.__getitem__)
    better = sum(worth[10 + a] < worth[10 + b] for a, b in zip(order, order[70:], strict=False))
    assert better > 63
    with pytest.raises(lanner.InputError, match="by the method default"):
        lanner.Predictor.fit(ARCHS[:10], worth[:10], method="ridge-counts", prior=table, **given)
    with pytest.raises(lanner.InputError, match="prior is for accuracies"):
        lanner.Predictor.fit(ARCHS[:10], VALUES[:10], space=SPACE, prior=table)
    with pytest.raises(lanner.InputError, match="prior is for accuracies"):
        lanner.adapt(ARCHS[:10], VALUES[:10], space=SPACE, prior=table)
    with pytest.raises(lanner.InputError, match="no column 'swap'"):
        lanner.adapt(ARCHS[:10], worth[:10], prior=f"{table}:swap", **given)
    with pytest.raises(lanner.InputError, match="less is better"):
        lanner.adapt(ARCHS[:10], VALUES[:10], space=SPACE, kind="error")


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


def test_tables_of_any_library_go_in_without_conversion():
    numpy = pytest.importorskip("numpy")
    polars, pyarrow = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    pandas = pytest.importorskip("pandas")
    given = {"space": SPACE, "method": "ridge-counts"}
    expected = lanner.Predictor.fit(ARCHS, VALUES, **given).predict(ARCHS).median
    columns = {"arch": ARCHS, "latency_ms": VALUES}
    frame = polars.DataFrame(columns)
    tables = [
        frame,
        # Slices, several blocks, short integers' offsets, categories, 32-bit floats of whole numbers.
        polars.concat([frame[:70], frame[70:100], frame[100:]], rechunk=False),
        polars.concat([frame.reverse(), frame])[150:],
        frame.with_columns(polars.col("arch").cast(polars.Categorical)),
        pyarrow.table(columns),
        pyarrow.table({**columns, "arch": pyarrow.array(ARCHS, pyarrow.large_string())}),
        pyarrow.table({**columns, "arch": pyarrow.array(ARCHS, pyarrow.string_view())}),
        pyarrow.table({**columns, "arch": pyarrow.array(ARCHS).dictionary_encode()}),
        pandas.DataFrame(columns),
        pandas.DataFrame({**columns, "arch": pandas.Categorical(ARCHS)}),
    ]
    for table in tables:
        predictor = lanner.Predictor.fit(table, "latency_ms", **given)
        assert predictor.metric == "latency_ms"
        assert (predictor.predict(table["arch"]).median == expected).all(), type(table)
    whole = [round(1000 * v) for v in VALUES]
    fits = [
        lanner.Predictor.fit(ARCHS, values, **given).predict(ARCHS).median
        for values in (whole, polars.Series(whole), numpy.array(whole), pyarrow.array(whole, pyarrow.int32()))
    ]
    assert all((fit == fits[0]).all() for fit in fits)
    # Missing values are left out.
    some = [None if i % 3 == 0 else v for i, v in enumerate(VALUES)]
    one = lanner.Predictor.fit(polars.DataFrame({"arch": ARCHS, "ms": some}), "ms", **given)
    kept = [i for i, v in enumerate(some) if v is not None]
    two = lanner.Predictor.fit([ARCHS[i] for i in kept], [VALUES[i] for i in kept], **given)
    assert list(one.predict(ARCHS).median) == list(two.predict(ARCHS).median)
    missing = polars.Series([*ARCHS[1:], None])
    for archs, values, says in [
        (missing, VALUES, "no text in row 149"),
        (frame["latency_ms"], VALUES, "expected texts"),
        (ARCHS, frame["arch"], "expected numbers"),
        (frame, "ms", "no column 'ms'"),
        (pandas.DataFrame(columns), "ms", "no column 'ms'"),
        (polars.DataFrame({"arch": [ARCHS], "ms": [1.0]}), "ms", "neither text nor number"),
    ]:
        with pytest.raises(lanner.InputError, match=says):
            lanner.Predictor.fit(archs, values, **given)


def test_predictions_are_arrays_without_a_copy():
    numpy = pytest.importorskip("numpy")
    predictor = lanner.Predictor.fit(ARCHS[:50], VALUES[:50], space=SPACE, method="ridge-counts")
    median = predictor.predict(ARCHS[50:]).median
    assert median.dtype == numpy.float64 and not median.flags.owndata and median.flags.writeable

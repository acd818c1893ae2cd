"""Studies: the same trials as the command, results, limits, bad input."""

import json
import math
import shlex
import sys
import threading
import types
import warnings
import xml.etree.ElementTree
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import workers

import lanner


def study(**settings):
    settings = {"maximize": "score", "seed": 3} | settings
    return lanner.create_study("nasbench201", **settings)


def key(trials):
    return [(t.number, t.arch, t.state, t.seed, t.metrics) for t in trials]


def test_optimize_finds_more_than_chance(tmp_path):
    s = study(storage=tmp_path / "study", limits=["params <= 1e6"])
    seen = []
    s.optimize(workers.score, n_trials=30, callbacks=[lambda _, trial: seen.append(trial)])
    assert s.counts["done"] == 30
    assert [t.number for t in seen] == [t.number for t in s.trials if t.state == "done"]
    assert s.best_trial.value == s.best_value == max(t.value for t in s.trials)
    assert s.best_value >= 4
    assert lanner.Network(s.best_arch).costs["params"] <= 1e6
    about = json.loads((tmp_path / "study" / "best.json").read_text())
    assert about["trial"] == s.best_trial.number
    assert s.report().read_bytes().startswith(b"<!DOCTYPE html>")
    rows = s.rows()
    assert len(rows) == 30 and rows[0]["score"] == s.trials[0].value


def test_ask_and_tell_have_the_trials_of_optimize():
    a, b = study(), study()
    a.optimize(workers.score, n_trials=10)
    trials = b.ask(10)
    assert [t.state for t in trials] == ["running"] * 10
    for trial in reversed(trials):
        told = b.tell(trial, {"score": workers.score(trial), "other": math.nan})
        assert told.value == workers.score(trial)
    assert key(a.trials) == key(b.trials)


def test_the_command_has_the_same_trials(tmp_path):
    script = tmp_path / "score.py"
    script.write_text("import sys\nprint('{\"score\": %d}' % sys.argv[1].count('3x3'))\n")
    line = shlex.join([sys.executable, "-IS", str(script)])
    search = ["search", "--space", "nasbench201", "--evaluate", f"command:{line} {{arch}}"]
    settings = ["--maximise", "score", "--limit", "params<=1e6", "--seed", "3", "--budget", "15"]
    where = ["--parallel", "1", "--out", str(tmp_path / "command")]
    workers.run(*search, *settings, *where)
    same = {"maximize": "score", "limits": ["params <= 1e6"], "seed": 3}
    ours = lanner.create_study("nasbench201", **same)
    ours.optimize(workers.score, n_trials=15)
    theirs = lanner.create_study(
        "nasbench201", storage=tmp_path / "command", load_if_exists=True, **same
    )
    assert key(ours.trials) == key(theirs.trials)
    assert len({t.arch for t in ours.trials}) == 15


def test_a_study_goes_on_where_it_was(tmp_path):
    whole = study()
    whole.optimize(workers.score, n_trials=25)
    parts = study(storage=tmp_path / "s")
    parts.optimize(workers.score, total_trials=10)
    del parts
    with pytest.raises(lanner.StudyError, match="load_if_exists=True"):
        study(storage=tmp_path / "s")
    parts = study(storage=tmp_path / "s", load_if_exists=True)
    parts.optimize(workers.score, total_trials=25)
    assert key(parts.trials) == key(whole.trials)
    parts.optimize(workers.score, total_trials=25)
    assert len(parts.trials) == 25


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"space": "darts"}, "Space\\('nasbench201'.*, not Space\\('darts'"),
        ({"maximize": "top1"}, "objectives"),
        ({"limits": ["params <= 5"]}, "limits"),
        ({"seed": 4}, "seed 3, not 4"),
        ({"strategy": "random"}, "strategy 'default', not 'random'"),
    ],
)
def test_another_search_in_the_same_folder_is_refused(tmp_path, other, says):
    study(storage=tmp_path / "s")
    settings = {"space": "nasbench201", "maximize": "score", "seed": 3} | other
    space = settings.pop("space")
    with pytest.raises(lanner.InputError, match=says):
        lanner.create_study(space, storage=tmp_path / "s", load_if_exists=True, **settings)


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        (None, "train returned None; return the number for 'score'"),
        (math.nan, "train returned nan"),
        ("93.1", "train returned '93.1'"),
        (True, "train returned True"),
        ({"accuracy": 3}, "a dictionary without 'score'; it has: accuracy"),
        ({"score": None}, "train returned None for 'score'"),
    ],
)
def test_trainings_that_return_no_number_fail(returned, says):
    s = study()
    with pytest.raises(lanner.TrainError, match="the first 3 trials failed") as error:
        s.optimize(lambda _: returned, n_trials=20)
    assert says in str(error.value) and says in s.trials[0].note
    assert s.counts["failed"] == 3 and s.counts["running"] == 0
    with pytest.raises(lanner.StudyError, match="no trial is done"):
        s.best_trial  # noqa: B018


def test_a_training_that_raises_is_a_failed_trial_with_its_traceback():
    s = study()

    def train(trial):
        if trial.number % 3 == 0:
            raise RuntimeError("out of memory")
        return workers.score(trial)

    s.optimize(train, n_trials=9)
    failed = [t for t in s.trials if t.state == "failed"]
    assert [t.number for t in failed] == [3, 6, 9]
    assert "RuntimeError: out of memory" in failed[0].note and "in train" in failed[0].note


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"maximize": ()}, "no objective"),
        ({"limits": ["latency_ms < 5"]}, "limit"),
        ({"limits": ["latency_ms <= five"]}, "limit"),
        ({"strategy": "tpe"}, "tpe"),
        ({"measure": 3}, "expected a function"),
        ({"device": "cpu"}, "lanner.device"),
        ({"build": len}, "example_input"),
        ({"measure": len, "device": lanner.device("rten")}, "not both"),
        ({"maximize": ["a", "a"]}, "'a'"),
    ],
)
def test_wrong_settings_write_nothing(tmp_path, settings, says):
    with pytest.raises(lanner.InputError, match=says):
        study(storage=tmp_path / "s", **settings)
    assert not (tmp_path / "s").exists()


def test_tell_refuses_what_is_no_result():
    s = study()
    (trial,) = s.ask()
    for values in (None, "x", math.inf, {"other": 1.0}):
        with pytest.raises(lanner.InputError, match="tell was given"):
            s.tell(trial, values)
    assert s.tell(trial, 1).state == "done"
    with pytest.raises(lanner.StudyError, match="done already"):
        s.tell(trial, 2)
    with pytest.raises(lanner.StudyError, match="no trial 99"):
        s.tell(99, 1)


def toy_latency(arch):
    return {"latency_ms": 1.0 + arch.count("3x3")}


def test_a_measured_limit_is_kept_and_confirmed():
    measured = []

    def measure(arch):
        measured.append(arch)
        return toy_latency(arch)

    s = study(limits=["latency_ms <= 3.5"], measure=measure, first_measurements=8)
    trained = []
    s.optimize(lambda t: trained.append(t.arch) or workers.score(t), n_trials=20)
    assert all(toy_latency(arch)["latency_ms"] <= 3.5 for arch in trained)
    assert s.best_value == 2
    assert s.counts["infeasible"] == len(s.trials) - 20
    assert len(measured) == len(s.measurements)
    # The best network was measured again before it was returned.
    assert measured.count(s.best_arch) >= 2


@pytest.mark.parametrize("wrong", [3.0, {}, {"latency_ms": "fast"}, {"latency_ms": -1.0}])
def test_a_measure_function_that_gives_no_latency_is_told(wrong):
    s = study(limits=["latency_ms <= 3.5"], measure=lambda _: wrong)
    with pytest.raises(lanner.MeasureError, match="measure returned"):
        s.optimize(workers.score, n_trials=5)


def test_an_exception_of_a_measure_function_comes_through():
    class Mine(Exception):
        pass

    def measure(arch):
        raise Mine(arch)

    s = study(limits=["latency_ms <= 3.5"], measure=measure)
    with pytest.raises(Mine):
        s.optimize(workers.score, n_trials=5)


def test_a_measure_function_cannot_use_its_study():
    s = study(limits=["latency_ms <= 9"], measure=lambda _: {"latency_ms": len(s.trials)})
    with pytest.raises(lanner.StudyError, match="cannot use the study itself"):
        s.optimize(workers.score, n_trials=5)


def test_a_study_is_read_while_other_threads_train():
    s = study()
    s.optimize(lambda t: s.counts["running"] + workers.score(t), n_trials=12, n_jobs=3)
    assert s.counts["done"] == 12
    numbers = []
    thread = threading.Thread(target=lambda: numbers.append(len(s.trials)))
    thread.start()
    thread.join()
    assert numbers == [12]


def test_stop_and_timeout_end_the_loop():
    s = study()
    s.optimize(workers.score, callbacks=[lambda s, t: t.number == 4 and s.stop()])
    assert s.counts["done"] == 4
    s.optimize(workers.score, timeout=0)
    assert s.counts["done"] == 4


def test_export_needs_a_network_that_was_kept(tmp_path):
    s = study()
    s.optimize(workers.score, n_trials=3)
    with pytest.raises(lanner.StudyError, match="kept no trained network"):
        s.export(tmp_path / "best.onnx")
    assert not (tmp_path / "best.onnx").exists()
    path = s.export(tmp_path / "best.onnx", untrained=True)
    assert path.read_bytes() == lanner.Network(s.best_arch).to_onnx(seed=s.best_trial.seed)


def test_two_objectives_have_a_front():
    s = lanner.create_study("nasbench201", maximize="score", minimize="skips", seed=1)
    s.optimize(lambda t: (t.arch.count("3x3"), t.arch.count("1x1")), n_trials=20)
    front = [(t.metrics["score"], t.metrics["skips"]) for t in s.best_trials]
    assert front == sorted(front, reverse=True)
    for t in s.trials:
        a, b = t.metrics["score"], t.metrics["skips"]
        assert any(x >= a and y <= b for x, y in front)
    assert s.directions == {"score": "maximize", "skips": "minimize"}


def test_files_are_where_they_were_put(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    s = study(storage="here")
    s.optimize(lambda t: (t.folder / "log").write_text("x"), n_trials=2)
    assert s.storage == tmp_path / "here"
    assert Path("here/trials/1/log").exists() and Path("here/study.db").exists()


def test_drawings_have_every_trial(monkeypatch):
    s = study(limits=["params <= 1e6"])
    assert "<svg" not in s._repr_html_() and s.svg().startswith("<svg")
    s.optimize(workers.score, n_trials=25)
    drawing = xml.etree.ElementTree.fromstring(s.svg())
    space = "{http://www.w3.org/2000/svg}"
    titles = [title.text for title in drawing.iter(f"{space}title")]
    best = [c for c in drawing.iter(f"{space}circle") if c.get("r") == "5"]
    # The worst quarter may be outside of the frame.
    assert 18 <= len(titles) <= 25 and len(best) == 1
    assert best[0][0].text.startswith(f"trial {s.best_trial.number}: score {s.best_value:g}, ")
    assert s.svg() in s._repr_html_()
    assert "15,625" in s.space._repr_html_()
    shown = []
    handle = types.SimpleNamespace(update=shown.append)
    ipython = types.ModuleType("IPython.display")
    ipython.SVG = lambda text: text
    ipython.display = lambda drawing, display_id: shown.append(drawing) or handle
    monkeypatch.setitem(sys.modules, "IPython.display", ipython)
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    s.optimize(workers.score, n_trials=3, callbacks=[lanner.LiveFigure(pause=0)])
    assert len(shown) == 3 and shown[-1] == s.svg()


def test_progress_is_for_people(monkeypatch, capsys):
    from lanner import _progress

    assert study().optimize(workers.score, n_trials=3) is None
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(_progress, "_DELAY", 0)
    monkeypatch.setattr(_progress.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    s = study()
    s.optimize(workers.score, n_trials=3)
    told = capsys.readouterr().err
    assert f"trials 3 of 3  best score {s.best_value:g}" in told and told.endswith("\r\033[K")


def test_trials_are_a_table_of_any_library():
    s = study()
    s.optimize(lambda t: {"score": workers.score(t), "odd": 0.5} if t.number % 2 else {"score": 1}, n_trials=9)
    with pytest.raises(lanner.TrainError):
        study().optimize(lambda t: None, n_trials=3)
    rows, table = s.rows(), s.table()
    for library, make in [
        ("polars", lambda m: m.DataFrame(table).to_dicts()),
        ("pyarrow", lambda m: m.table(table).to_pylist()),
        ("pandas", lambda m: m.DataFrame.from_arrow(table).astype(object).to_dict("records")),
    ]:
        module = pytest.importorskip(library)
        made = make(module)
        assert len(made) == 9 and list(made[0]) == list(rows[0])
        for own, row in zip(made, rows, strict=True):
            same = {n: v if v == v else None for n, v in own.items()}
            assert same == row, library
    assert s.trials_dataframe()["odd"].isna().sum() == 4
    # A capsule that nobody reads, and one that is read twice.
    table.__arrow_c_stream__()
    import polars

    capsule = table.__arrow_c_stream__()
    holder = types.SimpleNamespace(__arrow_c_stream__=lambda requested_schema=None: capsule)
    assert len(polars.DataFrame(holder)) == 9
    with pytest.raises(lanner.InputError, match="read already"):
        lanner.Predictor.fit(holder, [1.0])


def test_given_architectures_are_the_first():
    space = lanner.Space("nasbench201")
    first = space.sample(3, seed=9)
    study = lanner.create_study(space, maximize="score", limits=["params <= 1.5e6"], first=[*first, first[0]])
    study.optimize(workers.score, n_trials=6)
    assert [t.arch for t in study.trials[:3]] == first and len({t.arch for t in study.trials}) == 6
    heavy = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    for wrong, says in [(["999"], "999"), ([heavy], "over a limit of params"), ("302143", "expected a list of")]:
        with pytest.raises(lanner.InputError, match=says):
            lanner.create_study(space, maximize="score", limits=["params <= 1e5"], first=wrong)


@pytest.mark.parametrize("values", [[1e300, -1e300], [-1e308, 1e308], [5e-324, 0.0], [3.0], [7.0] * 4, [1e15, 1e15 + 1]])
def test_figures_have_a_place_for_any_values(values):
    study = lanner.create_study(lanner.space("s", x=lanner.Int(0, 20)), minimize="loss <&>", seed=1)
    told = iter(values)
    study.optimize(lambda _: next(told), n_trials=len(values))
    root = xml.etree.ElementTree.fromstring(study.svg())
    numbers = [float(v) for part in root.iter() for k, v in part.attrib.items() if k in ("x", "y", "cx", "cy")]
    assert numbers and all(-10 < v < 600 for v in numbers)
    assert "<&>" not in study._repr_html_()


def test_threads_that_ask_each_get_what_they_ask_for():
    study = lanner.create_study("nasbench201", maximize="score", seed=1)

    def work(_):
        return [study.tell(trial, workers.score(trial)).number for _ in range(6) for trial in study.ask()]

    with ThreadPoolExecutor(5) as pool:
        numbers = [number for told in pool.map(work, range(5)) for number in told]
    assert sorted(numbers) == list(range(1, 31)) and study.counts["done"] == 30


def test_folders_of_temporary_studies_go_with_them():
    study = lanner.create_study("nasbench201", maximize="score")
    folder = study.storage
    assert folder.is_dir()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del study
    assert not folder.parent.exists()

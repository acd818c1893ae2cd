"""The searcher, in Ray Tune's own loop."""

import pytest

import lanner

SPACE = lanner.space("mine", depth=lanner.Int(1, 2), width=lanner.Choice(8, 16, 32))


def score(config):
    return config["depth"] * config["width"]


def test_ray_tune_takes_the_studys_configurations(tmp_path, monkeypatch):
    ray = pytest.importorskip("ray")
    tune = pytest.importorskip("ray.tune")
    from lanner.tune import LannerSearcher

    monkeypatch.setenv("RAY_AIR_NEW_OUTPUT", "0")
    study = lanner.create_study(SPACE, maximize="score", storage=tmp_path / "s", seed=1)

    def trainable(config):
        if config == {"depth": 1, "width": 8}:
            raise RuntimeError("too small")
        if config == {"depth": 1, "width": 16}:
            tune.report({"score": float("nan")})
            return
        tune.report({"score": config["depth"] * config["width"], "other": 1.0})

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=LannerSearcher(study), num_samples=9, max_concurrent_trials=2
            ),
            run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0),
        )
        results = tuner.fit()
    finally:
        ray.shutdown()
    # All six networks of the space, two of which fail; there is no seventh one to wait for.
    assert study.counts["done"] == 4 and study.counts["failed"] == 2
    assert any("tell was given nan for 'score'" in (t.note or "") for t in study.trials)
    assert all(t.value == score(t.arch) for t in study.trials if t.state == "done")
    assert results.get_best_result(metric="score", mode="max").config == study.best_arch
    assert study.best_arch == {"depth": 2, "width": 32}


def test_wrong_arguments_begin_no_cluster():
    ray = pytest.importorskip("ray")
    pytest.importorskip("ray.tune")
    from lanner.ray import RayExecutor
    from lanner.tune import LannerSearcher

    for settings, says in [
        ({"resources": 5}, "resources is 5, an int, expected numbers by name"),
        ({"resources": {"GPU": "a"}}, "resources: GPU is 'a', a str, expected a number"),
        ({"resources": {"GPU": -1}}, "resources: GPU is -1, an int, expected a number, 0 or more"),
        ({"resources": {"CPU": 0}}, "n_workers: say how many trainings run at a time"),
        ({"n_workers": 0}, "n_workers is 0, expected 1 or more"),
    ]:
        with pytest.raises(lanner.InputError, match=says):
            RayExecutor(**settings)
    with pytest.raises(lanner.InputError, match="study is 's', a str, expected that of lanner.create_study"):
        LannerSearcher("s")
    assert not ray.is_initialized()

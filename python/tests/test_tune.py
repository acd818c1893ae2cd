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

"""Optuna beside Lanner: copies of studies, and the sampler in Optuna's own loop."""

import pytest

import lanner

optuna = pytest.importorskip("optuna")
optuna.logging.set_verbosity(optuna.logging.ERROR)

SPACE = lanner.space(
    "mine",
    depth=lanner.Int(1, 3),
    lr=lanner.Float(1e-4, 1e-1, log=True, network=False),
    block=lanner.Repeat("depth", width=lanner.Choice(4, 8, 16)),
)


def sampler(**settings):
    from lanner.optuna import LannerSampler

    return LannerSampler(**{"seed": 1} | settings)


def test_copies_show_the_study():
    study = lanner.create_study(SPACE, maximize="score", seed=1)
    study.optimize(lambda trial: sum(b["width"] for b in trial.arch["block"]), n_trials=10)
    copy = study.to_optuna()
    assert [t.value for t in copy.trials] == [t.value for t in study.trials]
    assert copy.best_params["depth"] == study.best_arch["depth"]
    assert copy.best_params["block[0].width"] == study.best_arch["block"][0]["width"]
    for ours, theirs in zip(study.trials, copy.trials, strict=True):
        assert theirs.duration.total_seconds() == pytest.approx(ours.seconds, abs=1e-3)


def test_copies_have_the_same_best_trial_within_limits():
    space = lanner.space("two", a=lanner.Int(1, 50), b=lanner.Int(1, 50))
    study = lanner.create_study(space, maximize="score", limits=["size <= 40", "b >= 5"], seed=1)
    study.optimize(
        lambda t: {"score": t.arch["a"] * t.arch["b"], "size": t.arch["a"] + t.arch["b"], "b": t.arch["b"]},
        n_trials=25,
    )
    assert study.best_value < max(t.value for t in study.trials)
    best = study.to_optuna().best_trial
    assert (best.value, best.user_attrs["number"]) == (study.best_value, study.best_trial.number)


def test_the_sampler_finds_the_best():
    def objective(trial):
        x = trial.suggest_float("x", -10, 10)
        kind = trial.suggest_categorical("kind", ["a", None])
        return (x - 2) ** 2 + (3 if kind is None else 0) + trial.suggest_int("n", 0, 4)

    study = optuna.create_study(sampler=sampler())
    study.optimize(objective, n_trials=35)
    assert study.best_value < 1.5, study.best_trial


@pytest.mark.parametrize(("low", "high", "step"), [(0.0, 0.3, 0.1), (0.1, 0.7, 0.1), (-1.0, 1.0, 0.05)])
def test_what_is_told_was_trained(low, high, step):
    """Sums of steps are rounded: 3 · 0.1 is above 0.3, which Optuna replaced by another value."""
    ours = sampler()
    study = optuna.create_study(direction="maximize", sampler=ours)
    study.optimize(lambda t: t.suggest_float("x", low, high, step=step) + t.suggest_int("n", 1, 9) / 100, n_trials=30)
    assert study.best_params == {"x": high, "n": 9}
    for trial in ours._study.trials:
        assert trial.value == pytest.approx(low + trial.arch["p1"] * step + trial.arch["p0"] / 100)


def line(trial):
    return -abs(trial.suggest_float("x", 0, 1) - 0.3) - abs(trial.suggest_int("k", 1, 64) - 20) / 64


def test_a_study_that_goes_on_repeats_nothing(tmp_path):
    where = {"study_name": "s", "storage": f"sqlite:///{tmp_path / 'o.db'}", "load_if_exists": True}

    def begin(n, **settings):
        study = optuna.create_study(direction="maximize", sampler=sampler(**settings), **where)
        study.optimize(line, n_trials=n)
        return study

    for _ in range(3):
        study = begin(8)
    assert len({tuple(t.params.values()) for t in study.trials}) == 24
    assert study.best_value > -0.15
    # Two programs at a time, each of which learns what the other one finds.
    other = optuna.create_study(direction="maximize", sampler=sampler(), **where)
    for _ in range(4):
        asked = [s.ask() for s in (study, other)]
        values = [line(trial) for trial in asked]
        for s, trial, value in zip((study, other), asked, values, strict=True):
            s.tell(trial, value)
    assert len({tuple(t.params.values()) for t in study.trials}) >= 24 + 4


def test_enqueued_trials_and_those_of_other_samplers_teach():
    ours = sampler()
    study = optuna.create_study(direction="maximize")
    study.optimize(line, n_trials=3)
    study.sampler = ours
    study.optimize(line, n_trials=2)
    study.enqueue_trial({"x": 0.25, "k": 20})
    study.enqueue_trial({"x": 0.75})
    study.optimize(line, n_trials=4)
    # Floats have five digits in Lanner's space.
    known = {(t.arch["p0"], round(t.arch["p1"], 4)): t.value for t in ours._study.trials if t.state == "done"}
    for trial in study.trials:
        assert known[trial.params["k"], round(trial.params["x"], 4)] == trial.value
    assert len(known) == 9


def test_failed_pruned_and_infinite_trials_are_no_results():
    def objective(trial):
        x = trial.suggest_int("x", 1, 100)
        if trial.number == 3:
            raise optuna.TrialPruned
        if trial.number == 4:
            raise ValueError
        return float("inf") if trial.number == 5 else x

    ours = sampler()
    study = optuna.create_study(sampler=ours)
    study.optimize(objective, n_trials=12, n_jobs=2, catch=(ValueError,))
    assert ours._study.counts["failed"] == 3 and ours._study.counts["running"] == 0
    assert study.best_value <= 20

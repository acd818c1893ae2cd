"""Workers: threads, processes, those that die, Ctrl-C and kill -9."""

import collections
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest
import workers

import lanner


def study(**settings):
    settings = {"maximize": "score", "seed": 3} | settings
    return lanner.create_study("nasbench201", **settings)


@pytest.mark.parametrize("pool", [ProcessPoolExecutor, ThreadPoolExecutor])
def test_any_executor_trains(pool):
    s = study()
    with pool(3) as executor:
        s.optimize(workers.slow_score, n_trials=15, executor=executor)
    assert s.counts == {
        "asked": 0, "running": 0, "done": 15, "failed": 0, "infeasible": 0, "imported": 0,
    }  # fmt: skip
    assert all(t.value == workers.score(t) for t in s.trials)


def test_nothing_waits_for_the_slowest():
    s, begun = study(), []

    def train(trial):
        begun.append(time.monotonic())
        time.sleep(0.8 if trial.number % 2 else 0.04)
        return workers.score(trial)

    s.optimize(train, n_trials=8, n_jobs=2)
    # One after the other 3.4 s, in pairs 3.2 s.
    assert time.monotonic() - min(begun) < 2.6


def test_a_trial_that_kills_three_workers_fails_and_others_do_not(tmp_path):
    s = study(storage=tmp_path / "s")
    with ProcessPoolExecutor(2) as executor:
        s.optimize(workers.deadly_score, n_trials=6, executor=executor)
    failed = [t for t in s.trials if t.state == "failed"]
    assert [t.number for t in failed] == [2]
    assert "the worker died, 3 times" in failed[0].note
    assert s.counts["done"] == 5
    # An innocent trial beside it was run at most twice.
    calls = {t.number: len(list(t.folder.iterdir())) for t in s.trials}
    assert calls.pop(2) == 3 and max(calls.values()) <= 2, calls


def test_workers_that_die_once_lose_nothing(tmp_path):
    s = study(storage=tmp_path / "s")
    with ProcessPoolExecutor(2) as executor:
        s.optimize(workers.deadly_once, n_trials=4, executor=executor)
    assert s.counts["done"] == 4 and s.counts["failed"] == 0


def test_what_cannot_be_sent_is_told_and_given_back():
    s = study()
    with (
        ProcessPoolExecutor(2) as executor,
        pytest.raises(lanner.InputError, match="define train, and build, at the top of a module"),
    ):
        s.optimize(lambda t: 1.0, n_trials=6, executor=executor)
    assert s.counts["running"] == 0 and s.counts["done"] == 0 and s.counts["failed"] == 0


def test_an_executor_that_does_not_tell_its_workers():
    class Mute(ThreadPoolExecutor):
        def __init__(self):
            super().__init__(2)
            self._max_workers = None

    with pytest.raises(lanner.InputError, match="n_jobs"):
        study().optimize(workers.score, n_trials=1, executor=Mute())


@pytest.mark.parametrize("jobs", [1, 3])
def test_ctrl_c_ends_the_loop_and_gives_back(jobs):
    s = study()

    def train(trial):
        if trial.number == 5:
            threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        time.sleep(0.02 if trial.number < 5 else 0.6)
        return workers.score(trial)

    with pytest.raises(KeyboardInterrupt):
        s.optimize(train, n_trials=40, n_jobs=jobs)
    counts = s.counts
    assert counts["running"] == 0 and counts["failed"] == 0 and 4 <= counts["done"] < 40
    time.sleep(0.7)
    before = [t.number for t in s.trials if t.state == "asked"]
    s.optimize(workers.score, n_trials=5)
    assert s.counts["done"] == counts["done"] + 5
    assert all(s.trials[n - 1].state == "done" for n in before[:5])


def test_kill_9_loses_nothing_and_repeats_nothing(tmp_path):
    storage = tmp_path / "s"
    rng = random.Random(1)
    run = f"import workers; workers.endless({str(storage)!r}, .01)"
    kills = 0

    def trained():
        return len((storage / "calls").read_text().split()) if (storage / "calls").exists() else 0

    while True:
        before = trained()
        process = subprocess.Popen([sys.executable, "-c", run])
        # A busy machine takes long to begin: every process trains something before it is killed.
        while process.poll() is None and trained() == before:
            time.sleep(0.01)
        try:
            assert process.wait(0.3 * rng.random()) == 0
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
    assert kills >= 1
    s = study(storage=storage, load_if_exists=True, seed=5)
    assert s.counts["done"] == 60 and s.counts["failed"] == 0
    calls = collections.Counter((storage / "calls").read_text().split())
    # A training whose process was killed before its result was told is run again.
    assert set(calls) == {str(t.number) for t in s.trials} and calls.total() <= 60 + kills
    whole = study(seed=5)
    whole.optimize(workers.score, n_trials=60)
    assert [t.arch for t in whole.trials] == [t.arch for t in s.trials]


def test_processes_that_ask_each_get_what_they_ask_for(tmp_path):
    storage = str(tmp_path / "s")
    shared = study(storage=storage, seed=2)
    with ProcessPoolExecutor(3, multiprocessing.get_context("spawn")) as pool:
        assert list(pool.map(workers.ask_and_tell, [storage] * 3, [8] * 3)) == [8] * 3
        assert shared.counts["done"] == len({t.arch for t in shared.trials}) == 24
        list(pool.map(workers.optimize, [storage] * 3, [{"n_trials": 4}] * 3))
        assert shared.counts["done"] == 36
        # A total is shared.
        list(pool.map(workers.optimize, [storage] * 3, [{"total_trials": 42}] * 3))
        assert shared.counts["done"] == 42

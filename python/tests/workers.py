"""Functions that workers of other processes import."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

import lanner


def score(trial: lanner.Trial) -> float:
    """Counts 3×3 convolutions."""
    return str(trial.arch).count("3x3")


def slow_score(trial: lanner.Trial) -> float:
    time.sleep(0.05)
    return score(trial)


def deadly_score(trial: lanner.Trial) -> float:
    """Kills its process for one of the architectures, and notes each call in the trial's folder."""
    (trial.folder / f"{os.getpid()}-{time.monotonic_ns()}").touch()
    time.sleep(0.1)
    if trial.number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return score(trial)


def deadly_once(trial: lanner.Trial) -> float:
    """Kills its process at the first call for each architecture."""
    mark = trial.folder / "killed"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return score(trial)


def endless(storage: str, pause: float) -> None:
    """Goes on with a study until it is killed."""
    study = lanner.create_study(
        "nasbench201", maximize="score", storage=storage, load_if_exists=True, seed=5
    )

    def train(trial: lanner.Trial) -> float:
        time.sleep(pause)
        with open(Path(storage) / "calls", "a") as file:
            file.write(f"{trial.number}\n")
        return score(trial)

    study.optimize(train, total_trials=60)


def forecast(predictor: lanner.Predictor, profile: lanner.Profile, archs: list[str]) -> list[list[float]]:
    """Predicts by both."""
    return [list(column) for p in (predictor, profile) for column in p.predict(archs)]


def best_of(storage: Path) -> float:
    """Reads a study."""
    return lanner.load_study(storage).best_value


def run(*arguments: object) -> str:
    """Runs the command, and returns what it prints."""
    command = os.environ.get("LANNER") or shutil.which("lanner")
    if command is None:
        pytest.skip("the command lanner is not there: set LANNER to its path")
    return subprocess.run([command, *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def ask_and_tell(storage: str, n: int) -> int:
    """Asks for trials one by one, and tells them; returns how many there were."""
    study = lanner.create_study("nasbench201", maximize="score", storage=storage, load_if_exists=True, seed=2)
    for done in range(n):
        trials = study.ask()
        if not trials:
            return done
        study.tell(trials[0], score(trials[0]))
    return n


def optimize(storage: str, settings: dict[str, int]) -> None:
    """Goes on with a study."""
    study = lanner.create_study("nasbench201", maximize="score", storage=storage, load_if_exists=True, seed=2)
    study.optimize(slow_score, **settings)

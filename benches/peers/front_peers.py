"""Other tools' samplers in the setting of `lanner-bench front`, on the same surrogate.

    pip install optuna torch scipy [syne-tune botorch]
    python front_peers.py LANNER_BENCH gp|nsga2|tpe|random|syne-ehvi|syne-evolution a100_ms [SEEDS [TRIALS [FIRST_SEED]]]

Asks `LANNER_BENCH front --serve` (whose data is found by LANNER_DATA) for perplexity and latency of networks of
HW-GPT-Bench s. Prints hypervolumes after half of the trials and after all, each with its standard error.
"""

import json
import statistics
import subprocess
import sys
import time
import warnings

warnings.filterwarnings("ignore")
program, name, latency = sys.argv[1:4]
seeds = int(sys.argv[4]) if len(sys.argv) > 4 else 10
budget = int(sys.argv[5]) if len(sys.argv) > 5 else 100
first = int(sys.argv[6]) if len(sys.argv) > 6 else 0
LAYERS = 12
server = subprocess.Popen(
    [program, "front", "--serve", "--latency", latency], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
)
# All layers have choices, of which networks of fewer layers ignore the last.
CHOICES = {"embed_dim": [192, 384, 768], "layers": [10, 11, 12], "bias": [False, True]}
CHOICES |= {f"heads{i}": [4, 8, 12] for i in range(LAYERS)} | {f"ratio{i}": [2, 3, 4] for i in range(LAYERS)}


def evaluate(choice):
    layers = int(choice["layers"])
    network = {
        "embed_dim": int(choice["embed_dim"]),
        "depth": layers,
        "heads": [int(choice[f"heads{i}"]) for i in range(layers)],
        "mlp_ratio": [int(choice[f"ratio{i}"]) for i in range(layers)],
        "bias": bool(choice["bias"]),
    }
    server.stdin.write(json.dumps(network) + "\n")
    server.stdin.flush()
    return tuple(float(value) for value in server.stdout.readline().split())


def hypervolume(points):
    """Area within (1, 1) that points dominate, both objectives to be least."""
    area, least = 0.0, 1.0
    for x, y in sorted(p for p in points if p[0] < 1 and p[1] < 1):
        if y < least:
            area += (1 - x) * (least - y)
            least = y
    return area


def optuna_search(seed):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    samplers = {
        "gp": optuna.samplers.GPSampler,
        "nsga2": optuna.samplers.NSGAIISampler,
        "tpe": optuna.samplers.TPESampler,
        "random": optuna.samplers.RandomSampler,
    }
    points = []

    def objective(trial):
        # All but the biases have an order.
        choice = {"bias": trial.suggest_categorical("bias", CHOICES["bias"])}
        for key, values in CHOICES.items():
            if key != "bias":
                choice[key] = values[trial.suggest_int(key, 0, len(values) - 1)]
        points.append(evaluate(choice))
        return points[-1]

    study = optuna.create_study(directions=["minimize"] * 2, sampler=samplers[name](seed=seed))
    study.optimize(objective, n_trials=budget)
    return points


def syne_tune_search(seed):
    """Asks Syne Tune's schedulers one trial at a time, without its backend."""
    import datetime
    import logging

    from syne_tune.backend.trial_status import Trial
    from syne_tune.config_space import choice, ordinal
    from syne_tune.optimizer.baselines import EHVI
    from syne_tune.optimizer.schedulers.multiobjective.multi_objective_regularized_evolution import (
        MultiObjectiveRegularizedEvolution,
    )
    from syne_tune.optimizer.schedulers.single_fidelity_scheduler import SingleFidelityScheduler

    logging.disable(logging.WARNING)
    space = {key: choice(v) if key == "bias" else ordinal(v, kind="equal") for key, v in CHOICES.items()}
    metrics = ["quality", "latency"]
    if name == "syne-ehvi":
        scheduler = EHVI(space, metrics=metrics, random_seed=seed)
    else:
        # The default population would be as large as the budget.
        searcher = MultiObjectiveRegularizedEvolution(space, population_size=budget // 5, random_seed=seed)
        scheduler = SingleFidelityScheduler(space, metrics=metrics, searcher=searcher, random_seed=seed)
    points = []
    for number in range(budget):
        config = scheduler.suggest().config
        points.append(evaluate(config))
        trial = Trial(number, config, datetime.datetime.now())
        scheduler.on_trial_complete(trial, dict(zip(metrics, points[-1])))
    return points


search = syne_tune_search if name.startswith("syne") else optuna_search
start, volumes = time.time(), {budget // 2: [], budget: []}
for seed in range(first, first + seeds):
    points = search(seed)
    for count, of in volumes.items():
        of.append(hypervolume(points[:count]))
    means = "  ".join(f"{count}: {statistics.mean(of):.4f}" for count, of in volumes.items())
    print(f"{name} {latency} seed {seed}: {means}  {time.time() - start:.0f} s", flush=True)
for count, of in volumes.items():
    error = statistics.stdev(of) / len(of) ** 0.5 if len(of) > 1 else float("nan")
    print(f"{name} {latency} hypervolume_{count} {statistics.mean(of):.4f} ± {error:.4f}, {len(of)} seeds")

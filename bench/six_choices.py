"""Optuna and Lanner on NAS-Bench-201 as six choices, without knowledge of cells.

    python3 bench/six_choices.py --data $LANNER_DATA --metric c10_val_200_1seed --sampler lanner,tpe,gp --seeds 5
    python3 bench/six_choices.py --data $LANNER_DATA --metric c10_val_200_1seed --device pixel3_ms

Prints the best value after 40 and 100 trials, within the median latency of --device if that is given (told to the
samplers as a constraint; Lanner looks it up before it trains), the number of trials over the limit, and seconds a
trial; means and standard errors. Needs lanner and optuna; GPSampler also torch and scipy.
"""

import argparse
import csv
import re
import statistics
import time
import warnings
from pathlib import Path

import optuna

OPERATIONS = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
MARKS = (40, 100)


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def tables(data, metric, device):
    """Values of the metric and the latency by the six operations."""
    folder = Path(data) / "nasbench201"
    latency = {row["idx"]: float(row[device]) for row in rows(folder / "latency_help.csv")} if device else {}
    values = {}
    for row in rows(folder / "accuracy.csv"):
        ops = tuple(re.findall(r"\|?([a-z0-9_]+)~\d", row["arch_str"]))
        values[ops] = (float(row[metric]), latency.get(row["idx"], 0.0))
    return values


def sampler(name, seed, constrained):
    constraints = (lambda trial: trial.user_attrs["over"]) if constrained else None
    if name == "tpe":
        return optuna.samplers.TPESampler(seed=seed, constraints_func=constraints)
    if name == "gp":
        return optuna.samplers.GPSampler(seed=seed, constraints_func=constraints)
    return optuna.samplers.RandomSampler(seed=seed)


def lanners(values, seed, limit, budget):
    """The operations that Lanner trains, in order."""
    import lanner

    space = lanner.space("six", **{f"edge{i}": lanner.Choice(*OPERATIONS) for i in range(6)})
    is_limited = limit < float("inf")
    study = lanner.create_study(
        space,
        maximize="value",
        limits=[f"latency_ms <= {limit}"] if is_limited else [],
        measure=(lambda arch: {"latency_ms": values[tuple(arch.values())][1]}) if is_limited else None,
        seed=seed,
    )
    study.optimize(lambda trial: values[tuple(trial.arch.values())][0], n_trials=budget)
    return [tuple(trial.arch.values()) for trial in study.trials if trial.state == "done"]


def search(values, name, seed, limit, budget):
    """Best value within the limit after each mark, trials over it, seconds a trial."""
    if name == "lanner":
        start = time.perf_counter()
        trained = [values[ops] for ops in lanners(values, seed, limit, budget)]
        seconds = (time.perf_counter() - start) / budget
        within = [value if latency <= limit else float("-inf") for value, latency in trained]
        over = sum(latency > limit for _, latency in trained)
        return [max(within[:mark]) for mark in MARKS if mark <= budget], over, seconds
    best, over, marks = float("nan"), 0, {}
    start = time.perf_counter()

    def objective(trial):
        nonlocal best, over
        ops = tuple(trial.suggest_categorical(f"edge{i}", OPERATIONS) for i in range(6))
        value, latency = values[ops]
        trial.set_user_attr("over", [latency - limit])
        if latency > limit:
            over += 1
        elif not value <= best:
            best = value
        marks[trial.number + 1] = best
        return value

    study = optuna.create_study(direction="maximize", sampler=sampler(name, seed, limit < float("inf")))
    study.optimize(objective, n_trials=budget)
    return [marks[mark] for mark in MARKS if mark <= budget], over, (time.perf_counter() - start) / budget


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--metric", default="c10_val_200_1seed")
    parser.add_argument("--device")
    parser.add_argument("--sampler", default="lanner,tpe,gp,random")
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--budget", type=int, default=100)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    values = tables(args.data, args.metric, args.device)
    limit = statistics.median(latency for _, latency in values.values()) if args.device else float("inf")
    optimum = max(value for value, latency in values.values() if latency <= limit)
    print(f"{args.metric}, limit {limit}, optimum {optimum}")
    for name in args.sampler.split(","):
        found = [search(values, name, args.seed + s, limit, args.budget) for s in range(args.seeds)]

        def told(numbers):
            error = statistics.stdev(numbers) / len(numbers) ** 0.5 if len(numbers) > 1 else 0.0
            return f"{statistics.mean(numbers):.3f} ± {error:.3f}"

        best = [f"best_{mark} {told([f[0][i] for f in found])}" for i, mark in enumerate(MARKS) if mark <= args.budget]
        print(f"{name}: {', '.join(best)}, over {told([f[1] for f in found])}, seconds {told([f[2] for f in found])}", flush=True)


if __name__ == "__main__":
    main()

"""Optuna's samplers with a constraint, in the setting of `lanner-bench limited`.

    pip install optuna torch scipy
    python limits_optuna.py DATA tpe|gp [SEEDS [DEVICES [PERCENTILES]]]

Accuracies of NAS-Bench-201 (c100_test_200) within a percentile of a device's latencies. A trial is a
training, also of a network over the limit; the latency is its constraint. Prints the regret to the best
network within the limit after 40 and 100 trials, and how many trials were over the limit.
"""

import csv
import pathlib
import sys
import warnings

import optuna

warnings.filterwarnings("ignore")
optuna.logging.set_verbosity(optuna.logging.ERROR)
folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
seeds = int(sys.argv[3]) if len(sys.argv) > 3 else 2
with open(folder / "nasbench201/accuracy.csv") as file:
    accuracy = {row["ops"]: float(row["c100_test_200"]) for row in csv.DictReader(file)}
with open(folder / "nasbench201/latency_help.csv") as file:
    latencies = list(csv.DictReader(file))
devices = [column[:-3] for column in latencies[0] if column.endswith("_ms")]
devices = sys.argv[4].split(",") if len(sys.argv) > 4 else devices
percentiles = [int(p) for p in sys.argv[5].split(",")] if len(sys.argv) > 5 else [25, 50, 75]
total = {40: [], 100: [], "over": []}
for device in devices:
    latency = {ops: float(row[device + "_ms"]) for ops, row in zip(accuracy, latencies)}
    ordered = sorted(latency.values())
    for percentile in percentiles:
        limit = ordered[(len(ordered) - 1) * percentile // 100]
        optimum = max(accuracy[ops] for ops in accuracy if latency[ops] <= limit)
        of_case = {40: [], 100: [], "over": []}
        for seed in range(seeds):
            constraint = lambda trial: (trial.user_attrs["latency"] - limit,)
            sampler = {"tpe": optuna.samplers.TPESampler, "gp": optuna.samplers.GPSampler}[name](
                seed=seed, constraints_func=constraint
            )
            tried = []

            def objective(trial):
                ops = "".join(trial.suggest_categorical(f"edge{edge}", "01234") for edge in range(6))
                trial.set_user_attr("latency", latency[ops])
                tried.append(ops)
                return accuracy[ops]

            optuna.create_study(direction="maximize", sampler=sampler).optimize(objective, n_trials=100)
            for mark in (40, 100):
                within = [accuracy[ops] for ops in tried[:mark] if latency[ops] <= limit]
                of_case[mark].append(optimum - max(within, default=0.0))
            of_case["over"].append(sum(latency[ops] > limit for ops in tried))
        for key, values in of_case.items():
            total[key] += values
        mean = {key: sum(values) / len(values) for key, values in of_case.items()}
        print(device, percentile, f"regret {mean[40]:.3f} {mean[100]:.3f}, over {mean['over']:.1f}", flush=True)
mean = {key: sum(values) / len(values) for key, values in total.items()}
print("all", f"regret {mean[40]:.3f} {mean[100]:.3f}, over {mean['over']:.1f} of 100")

"""An own family of residual networks for the digits, tabulated: 288 trainings, and latencies by ONNX Runtime.

    pip install . torch onnxruntime onnx optuna scipy
    python bench/resnet_family.py table bench/resnet_family.csv        # some twenty minutes
    python bench/resnet_family.py search bench/resnet_family.csv --seeds 10

`table` trains each network once on 500 of the digits and tests it on the other 1,297, and measures its latency
with onnxruntime on one thread (the median of 300 runs, the least of three rounds that are minutes apart). `search`
compares Lanner with Optuna's samplers on that table: the best value after 20, 40 and 100 trials, without a limit and
within the median latency. Optuna is told the latency as a constraint after a trial; Lanner may measure before one.
"""

import argparse
import csv
import io
import statistics
import sys
import time
import warnings

import lanner

SPACE = lanner.space(
    "digits-resnets",
    depth=lanner.Int(1, 3), width=lanner.Choice(8, 16, 24, 32), kernel=lanner.Choice(1, 3, 5),
    expand=lanner.Choice(1, 2), pooling=lanner.Choice("stride", "max"),
    lr=lanner.Choice(0.003, 0.03, network=False),
)  # fmt: skip
FIELDS = ("depth", "width", "kernel", "expand", "pooling", "lr")
MARKS = (20, 40, 100)


def build(depth, width, kernel, expand, pooling):
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, inputs, stride):
            super().__init__()
            wide, same = width * expand, kernel // 2
            self.layers = nn.Sequential(
                nn.Conv2d(inputs, wide, kernel, stride, same), nn.BatchNorm2d(wide), nn.ReLU(),
                nn.Conv2d(wide, width, kernel, padding=same), nn.BatchNorm2d(width))  # fmt: skip
            self.skip = nn.Conv2d(inputs, width, 1, stride)

        def forward(self, x):
            return torch.relu(self.skip(x) + self.layers(x))

    layers = [nn.Conv2d(1, width, 3, padding=1), nn.ReLU()]
    for i in range(depth):
        halves = i > 0
        if halves and pooling == "max":
            layers.append(nn.MaxPool2d(2))
        layers.append(Block(width, 2 if halves and pooling == "stride" else 1))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))


def train(network, lr, seed):
    """Returns the accuracy on the digits that were not trained on, in %."""
    import numpy
    import torch

    digits = lanner.images("digits")
    pixels = numpy.concatenate([digits.train, digits.test])
    labels = numpy.concatenate([digits.train_labels, digits.test_labels])
    x, y = torch.tensor(pixels).float() / 255 - 0.3, torch.tensor(labels).long()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    known, others = order[:500], order[500:]
    torch.manual_seed(seed)
    optimizer = torch.optim.Adam(network.parameters(), lr)
    epochs = 5
    steps = epochs * -(-len(known) // 25)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(epochs):
        for rows in known[torch.randperm(len(known))].split(25):
            loss = torch.nn.functional.cross_entropy(network(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    network.eval()
    with torch.no_grad():
        return 100 * (network(x[others]).argmax(1) == y[others]).float().mean().item()


def to_onnx(network):
    import onnx
    import torch

    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network.eval(), (torch.zeros(1, 1, 8, 8),), file, dynamo=False)
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(file.getvalue()))
    return model.SerializeToString()


def latency(model):
    """Returns the median of 300 runs, milliseconds."""
    import numpy
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    image = {session.get_inputs()[0].name: numpy.zeros((1, 1, 8, 8), numpy.float32)}
    runs = []
    for _ in range(330):
        start = time.perf_counter()
        session.run(None, image)
        runs.append(1000 * (time.perf_counter() - start))
    return statistics.median(runs[30:])


def table(path):
    import torch

    torch.set_num_threads(1)
    archs = list(SPACE)
    models, rows = {}, []
    for i, arch in enumerate(archs):
        sizes = {name: value for name, value in arch.items() if name != "lr"}
        torch.manual_seed(i)
        network = build(**sizes)
        key = tuple(sizes.values())
        if key not in models:
            models[key] = to_onnx(network)
        accuracy = train(network.train(), arch["lr"], i)
        costs = lanner.onnx_cost(models[key])
        rows.append({**arch, "accuracy": f"{accuracy:.4f}", "params": costs["params"], "flops": costs["flops"]})
        print(f"\r{i + 1} of {len(archs)}", end="", file=sys.stderr, flush=True)
    rounds = []
    for _ in range(3):
        rounds.append({key: latency(model) for key, model in models.items()})
        time.sleep(60)
    for arch, row in zip(archs, rows, strict=True):
        key = tuple(value for name, value in arch.items() if name != "lr")
        row["latency_ms"] = f"{min(r[key] for r in rounds):.5f}"
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read(path):
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    archs = [SPACE.check({name: _value(row[name]) for name in FIELDS}) for row in rows]
    return {SPACE.text(arch): (arch, row) for arch, row in zip(archs, rows, strict=True)}


def _value(text):
    try:
        return int(text)
    except ValueError:
        return float(text) if text[0].isdigit() else text


def ours(known, limit, seed):
    """Yields accuracy and latency of the networks that Lanner trains."""

    def measure(arch):
        row = known[SPACE.text(arch)][1]
        return {"latency_ms": float(row["latency_ms"]), "flops": float(row["flops"]), "params": float(row["params"])}

    limits = [] if limit is None else [f"latency_ms <= {limit}"]
    study = lanner.create_study(
        SPACE, maximize="accuracy", limits=limits, measure=measure if limits else None, seed=seed
    )
    study.optimize(lambda trial: float(known[SPACE.text(trial.arch)][1]["accuracy"]), n_trials=max(MARKS))
    for trial in study.trials:
        if trial.state == "done":
            row = known[SPACE.text(trial.arch)][1]
            yield float(row["accuracy"]), float(row["latency_ms"])


def optunas(known, limit, seed, name):
    """Yields accuracy and latency of the networks that a sampler of Optuna trains."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    constraints = None if limit is None else lambda trial: [trial.user_attrs["latency"] - limit]
    kinds = {"tpe": optuna.samplers.TPESampler, "gp": optuna.samplers.GPSampler}
    sampler = (
        optuna.samplers.RandomSampler(seed)
        if name == "random"
        else kinds[name](seed=seed, constraints_func=constraints)
    )
    tried = []

    def objective(trial):
        arch = {
            "depth": trial.suggest_int("depth", 1, 3),
            "width": trial.suggest_int("width", 8, 32, step=8),
            "kernel": trial.suggest_int("kernel", 1, 5, step=2),
            "expand": trial.suggest_int("expand", 1, 2),
            "pooling": trial.suggest_categorical("pooling", ["stride", "max"]),
            "lr": trial.suggest_categorical("lr", [0.003, 0.03]),
        }
        row = known[SPACE.text(arch)][1]
        trial.set_user_attr("latency", float(row["latency_ms"]))
        tried.append((float(row["accuracy"]), float(row["latency_ms"])))
        return tried[-1][0]

    optuna.create_study(direction="maximize", sampler=sampler).optimize(objective, n_trials=max(MARKS))
    yield from tried


def compare(path, seeds, samplers):
    known = read(path)
    latencies = [float(row["latency_ms"]) for _, row in known.values()]
    for limit in (None, statistics.median(latencies)):
        within = [
            float(row["accuracy"])
            for _, row in known.values()
            if limit is None or float(row["latency_ms"]) <= limit
        ]
        print(f"limit {limit}: best {max(within):.3f}", flush=True)
        for name in samplers:
            runs, seconds = [], []
            for seed in range(seeds):
                start = time.perf_counter()
                trials = ours(known, limit, seed) if name == "lanner" else optunas(known, limit, seed, name)
                runs.append(list(trials))
                seconds.append((time.perf_counter() - start) / max(MARKS))
            told = []
            for mark in MARKS:
                best = [
                    max((a for a, ms in run[:mark] if limit is None or ms <= limit), default=0.0) for run in runs
                ]
                error = statistics.stdev(best) / len(best) ** 0.5 if len(best) > 1 else 0.0
                told.append(f"best_{mark} {statistics.mean(best):.3f} ± {error:.3f}")
            over = statistics.mean(sum(limit is not None and ms > limit for _, ms in run) for run in runs)
            print(f"{name}: {', '.join(told)}, over {over:.1f}, {statistics.mean(seconds):.3f} s a trial", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["table", "search"])
    parser.add_argument("file")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--samplers", default="lanner,tpe,gp,random")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    if args.what == "table":
        table(args.file)
    else:
        compare(args.file, args.seeds, args.samplers.split(","))


if __name__ == "__main__":
    main()

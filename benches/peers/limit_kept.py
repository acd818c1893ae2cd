"""How often the network that a search returns is within its limit, measured again by ONNX Runtime alone.

    pip install . torch onnx onnxscript onnxruntime
    python benches/peers/limit_kept.py [--runs 20] [--seed 0] [--limit 0.05]

Each run is a new process that searches the networks of examples/own-networks on the digits with another seed. Another new
process, without Lanner, then measures best.onnx on one thread: the median of ten rounds, each the mean of 200 calls.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "own-networks"
SEARCH = """
import sys
sys.path.insert(0, {example!r})
import torch
import search
import lanner
torch.set_num_threads(1)
study = lanner.create_study(
    search.space, maximize="accuracy", limits=["latency_ms <= {limit}"], storage={folder!r} + "/study", seed={seed},
    build=search.build, example_input=search.example, device=lanner.device("onnxruntime"), first_measurements=6)
study.optimize(search.train, total_trials=12)
study.export({folder!r} + "/best.onnx")
import json
print(json.dumps({{"accuracy": study.best_value, "ms": study.best_trial.metrics["latency_ms"]}}))
"""
MEASURE = """
import statistics, sys, time
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession({model!r}, options, providers=["CPUExecutionProvider"])
(source,) = session.get_inputs()
image = numpy.random.default_rng(0).standard_normal([d if isinstance(d, int) else 1 for d in source.shape])
image = image.astype(numpy.float32)
rounds = []
for _ in range(11):
    start = time.perf_counter()
    for _ in range(200):
        session.run(None, {{source.name: image}})
    rounds.append((time.perf_counter() - start) / 200 * 1000)
print(statistics.median(rounds[1:]))
"""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.splitlines()[-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the first run")
    parser.add_argument("--limit", type=float, default=0.05, help="milliseconds")
    args = parser.parse_args()
    within, seconds, values = 0, [], []
    for seed in range(args.seed, args.seed + args.runs):
        with tempfile.TemporaryDirectory() as folder:
            start = time.monotonic()
            told = json.loads(run(SEARCH.format(example=str(EXAMPLE), folder=folder, limit=args.limit, seed=seed)))
            seconds.append(time.monotonic() - start)
            again = float(run(MEASURE.format(model=f"{folder}/best.onnx")))
        within += again <= args.limit
        values.append(told["accuracy"])
        print(
            f"seed {seed}: {told['accuracy']:.2f} %, {told['ms']:.4f} ms by the search, {again:.4f} ms again, "
            f"{seconds[-1]:.0f} s",
            flush=True,
        )
    print(
        f"{within} of {args.runs} within {args.limit} ms; accuracy {statistics.mean(values):.2f} %, "
        f"{statistics.mean(seconds):.0f} s a search"
    )


if __name__ == "__main__":
    main()

"""How often the network that a search returns is within its limit, measured again by ONNX Runtime alone.

    pip install . torch onnx onnxscript onnxruntime
    python benches/peers/limit_kept.py [--runs 20] [--seed 0] [--limit 0.05]

Each run is a new process that searches the networks of examples/own-networks on the digits with another seed. Another new
process, without Lanner, then measures best.onnx on one thread, 58 rounds of 100 calls in ten seconds. A reference network
runs before and after each round, since the speed of many machines changes from second to second: the latency "at full
speed" is the median of the rounds divided by the slowdown of their reference against its fastest twentieth. The median of
the rounds as they are is printed beside it.
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
import json, statistics, time
import numpy, onnxruntime
from onnx import TensorProto, helper, numpy_helper
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1

def timer(model):
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    image = numpy.random.default_rng(0).standard_normal([d if isinstance(d, int) else 1 for d in source.shape])
    image = image.astype(numpy.float32)
    def milliseconds():
        start = time.perf_counter()
        for _ in range(100):
            session.run(None, {{source.name: image}})
        return (time.perf_counter() - start) * 10
    return milliseconds

weight = numpy_helper.from_array(numpy.full((32, 32, 3, 3), 0.01, numpy.float32), "weight")
conv = helper.make_node("Conv", ["image", "weight"], ["out"], pads=[1, 1, 1, 1])
shape = [1, 32, 8, 8]
graph = helper.make_graph(
    [conv], "reference", [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
    [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)], [weight])
reference = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
reference, network = timer(reference.SerializeToString()), timer({model!r})
rounds = []
for _ in range(60):
    rounds.append((reference(), network(), reference()))
    time.sleep(0.1)
rounds = rounds[2:]
full = numpy.quantile([r for before, _, after in rounds for r in (before, after)], 0.05)
even = [ms * 2 * full / (before + after) for before, ms, after in rounds]
print(json.dumps([statistics.median(even), statistics.median(ms for _, ms, _ in rounds)]))
"""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.splitlines()[-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the first run")
    parser.add_argument("--limit", type=float, default=0.05, help="milliseconds")
    args = parser.parse_args()
    within, raw, seconds, values = 0, 0, [], []
    for seed in range(args.seed, args.seed + args.runs):
        with tempfile.TemporaryDirectory() as folder:
            start = time.monotonic()
            told = json.loads(run(SEARCH.format(example=str(EXAMPLE), folder=folder, limit=args.limit, seed=seed)))
            seconds.append(time.monotonic() - start)
            again, plain = json.loads(run(MEASURE.format(model=f"{folder}/best.onnx")))
        within += again <= args.limit
        raw += plain <= args.limit
        values.append(told["accuracy"])
        print(
            f"seed {seed}: {told['accuracy']:.2f} %, {told['ms']:.4f} ms by the search, {again:.4f} ms again "
            f"at full speed, {plain:.4f} as it is, {seconds[-1]:.0f} s",
            flush=True,
        )
    print(
        f"{within} of {args.runs} within {args.limit} ms at full speed, {raw} as it is; accuracy {statistics.mean(values):.2f} %, "
        f"{statistics.mean(seconds):.0f} s a search"
    )


if __name__ == "__main__":
    main()

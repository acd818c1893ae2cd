"""Measures networks of families.py on this machine, and keeps their graphs without weights.

    pip install torch onnx onnxruntime openvino
    python latbench/measure_families.py OUT [--count 100] [--runtime ort|openvino] [--threads 1] [--cores 1]

Writes OUT/graphs/FAMILY-NNN.onnx, whose weights are left out, and appends to OUT/RUNTIME-THREADS.csv:
the median of blocks of runs in milliseconds, and half the distance of their quartiles. A network is
measured once; a stopped run goes on where it was. Several runtimes in one run share the export. `--pack` joins
the tables of all runtimes. `--cores` gives the runs cores of their own, at real-time priority where that is
allowed.
"""

import argparse
import csv
import json
import os
import pathlib
import random
import statistics
import sys
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor

ATTENTION = ("vit", "swin", "gpt")
BLOCK, LEAST, MOST = 0.01, 11, 0.5  # seconds of a block of runs; blocks and seconds of a network


def export(family, number, path, graph):
    """Draws a network, writes it with its weights to `path` and without them to `graph`."""
    import onnx
    import torch

    import families

    os.nice(5) if os.nice(0) < 5 else None
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(number)
    net, example, drawn = families.draw(family, random.Random(f"{family}-{number}"))
    torch.onnx.export(net, (example,), path, dynamo=False, opset_version=17, input_names=["input"])
    model = onnx.shape_inference.infer_shapes(onnx.load(path), data_prop=True)
    for tensor in model.graph.initializer:
        if len(tensor.raw_data) > 256:
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="left out")
    onnx.save(model, graph)
    return example.numpy(), drawn


def ort(path, example, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: example}
    return lambda: session.run(None, feed)


def quantise(path, example, quantised):
    """Writes the network in 8-bit integers to `quantised`."""
    import logging

    import numpy
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    logging.disable(logging.WARNING)

    class Inputs(CalibrationDataReader):
        def __init__(self):
            random = numpy.random.default_rng(0)
            draw = lambda: random.standard_normal(example.shape).astype("float32")
            self.all = iter([{"input": draw()} for _ in range(2)])

        def get_next(self):
            return next(self.all, None)

    ready = path + ".ready"
    quant_pre_process(path, ready, skip_symbolic_shape=True)
    same = dict(per_channel=True, reduce_range=True, weight_type=QuantType.QInt8)
    if pathlib.Path(path).name.split("-")[0] in ATTENTION:
        quantize_dynamic(ready, quantised, **same)
    else:
        static = dict(quant_format=QuantFormat.QDQ, activation_type=QuantType.QUInt8)
        quantize_static(ready, quantised, Inputs(), **static, **same)
    os.unlink(ready)


def openvino(path, example, threads):
    import openvino

    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False}
    # The CPU's own precision would be bf16 where it has it.
    settings["INFERENCE_PRECISION_HINT"] = "f32"
    request = openvino.Core().compile_model(path, "CPU", settings).create_infer_request()
    request.set_input_tensor(openvino.Tensor(example))
    return request.infer


def measure(run):
    """Returns the median time of a run in ms, half the distance of quartiles, and the number of runs."""
    start = time.perf_counter()
    run()
    run()
    once = time.perf_counter()
    run()
    once = time.perf_counter() - once
    each, blocks, runs = max(1, int(BLOCK / once)), [], 0
    while len(blocks) < LEAST and (time.perf_counter() - start < MOST or len(blocks) < 5):
        begin = time.perf_counter()
        for _ in range(each):
            run()
        blocks.append((time.perf_counter() - begin) / each * 1e3)
        runs += each
    quartiles = statistics.quantiles(blocks, n=4)
    return statistics.median(blocks), (quartiles[2] - quartiles[0]) / 2, runs


def pack(out, count, folder):
    """Joins the tables of the first `count` networks of each family to families.csv."""
    tables = {}
    for path in sorted(out.glob("*-*.csv"), reverse=True):
        tables[path.stem.replace("-", "_")] = {row["network"]: row for row in csv.DictReader(path.open())}
    first = tables["ort_1"]
    names = sorted(name for name in first if int(name[-3:]) < count)
    with (folder / "families.csv").open("w", newline="") as file:
        write = csv.writer(file, lineterminator="\n")
        columns = [f"{runtime}_{part}ms" for runtime in tables for part in ("", "spread_")]
        write.writerow(["network", "family", *columns, "drawn"])
        for name in names:
            rows = [table.get(name, {}) for table in tables.values()]
            values = [row.get(f"{part}_ms", "") for row in rows for part in ("latency", "spread")]
            write.writerow([name, first[name]["family"], *values, first[name]["drawn"]])
    print(f"{len(names)} networks: {folder}/families.csv")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=100, help="networks of each family")
    parser.add_argument("--runtime", choices=RUNTIMES, nargs="+", default=["ort"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cores", type=lambda text: {int(core) for core in text.split(",")})
    parser.add_argument("--pack", type=pathlib.Path, metavar="FOLDER", help="join what was measured, and end")
    args = parser.parse_args()
    if args.pack:
        return pack(args.out, args.count, args.pack)
    import families

    (args.out / "graphs").mkdir(parents=True, exist_ok=True)
    tables, done = {}, {}
    for runtime in args.runtime:
        table = tables[runtime] = args.out / f"{runtime}-{args.threads}.csv"
        if table.exists():
            done[runtime] = {row["network"] for row in csv.DictReader(table.open())}
        else:
            table.write_text("network,family,latency_ms,spread_ms,runs,drawn\n")
            done[runtime] = set()
    every = [(f.__name__, n) for n in range(args.count) for f in families.FAMILIES]
    name = lambda job: f"{job[0]}-{job[1]:03}"
    todo = [job for job in every if any(name(job) not in known for known in done.values())]
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1) as pool:
        path = lambda job: f"{folder}/{name(job)}.onnx"
        graph = lambda job: str(args.out / "graphs" / f"{name(job)}.onnx")
        waiting = []
        for job in todo + [None] * 4:
            if job:
                waiting.append((job, pool.submit(export, *job, path(job), graph(job))))
            if (job and len(waiting) < 4) or not waiting:
                continue
            network, future = waiting.pop(0)
            example, drawn = future.result()
            for runtime in (r for r in args.runtime if name(network) not in done[r]):
                try:
                    run = RUNTIMES[runtime](path(network), example, args.threads)
                    measured = at_priority(args.cores, lambda: measure(run))
                except Exception as error:
                    print(f"{name(network)} {runtime}: refused: {str(error)[:200]}", flush=True)
                    continue
                median, spread, runs = measured
                with tables[runtime].open("a", newline="") as file:
                    row = [name(network), network[0], f"{median:.5g}", f"{spread:.3g}", runs, json.dumps(drawn)]
                    csv.writer(file).writerow(row)
                print(f"{name(network)} {runtime} {median:.3f} ms ± {spread:.3f}", flush=True)
            os.unlink(path(network))


def at_priority(cores, call):
    """Calls on cores of its own, at real-time priority where that is allowed."""
    if not cores:
        return call()
    os.sched_setaffinity(0, cores)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    except PermissionError:
        pass
    try:
        return call()
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        os.sched_setaffinity(0, range(os.cpu_count()))


RUNTIMES = {"ort": ort, "openvino": openvino}


if __name__ == "__main__":
    main()

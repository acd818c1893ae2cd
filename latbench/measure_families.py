"""Measures networks of families.py on this machine, and keeps their graphs without weights.

    pip install torch onnx onnxruntime openvino
    python latbench/measure_families.py OUT [--count 100] [--runtime ort|int8|openvino|rten] [--threads 1] [--cores 1]

Writes OUT/graphs/FAMILY-NNN.onnx, whose weights are left out, and appends to OUT/RUNTIME-THREADS.csv:
the median of blocks of runs in milliseconds, and half the distance of their quartiles. A network is
measured once; a stopped run goes on where it was. Several runtimes in one run share the export. `--pack` joins
the tables of all runtimes. `--cores` gives the runs cores of their own, at real-time priority where that is
allowed.

`int8` is ONNX Runtime with 8-bit integers by onnxruntime.quantization: static for families of convolutions (QDQ:
weights by channel, activations with one range a tensor from two random inputs, reduced range), dynamic for those with
attention; `rten` is `lanner measure --runtime rten`, whose path is $LANNER or found on PATH.

`--steady` is for a machine on which other programs run: while a network is measured, a loop that does nothing keeps
the other cores busy, so that these are always in one state; and a ResNet is run before and after, whose times must
both be within 6 % of the median of all such times. Else the measurement is repeated later.
"""

import argparse
import atexit
import csv
import io
import json
import os
import pathlib
import random
import signal
import statistics
import subprocess
import sys
import tarfile
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


def int8(path, example, threads):
    """Quantises the file in its place, and loads it."""
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

    ready, quantised = path + ".ready", path + ".int8"
    quant_pre_process(path, ready, skip_symbolic_shape=True)
    same = dict(per_channel=True, reduce_range=True, weight_type=QuantType.QInt8)
    if pathlib.Path(path).name.split("-")[0] in ATTENTION:
        quantize_dynamic(ready, quantised, **same)
    else:
        static = dict(quant_format=QuantFormat.QDQ, activation_type=QuantType.QUInt8)
        quantize_static(ready, quantised, Inputs(), **static, **same)
    run = ort(quantised, example, threads)
    os.unlink(ready), os.unlink(quantised)
    return run


def rten(path, example, threads):
    """Returns what `lanner measure` says: it runs the file itself."""
    lanner = os.environ.get("LANNER", "lanner")
    command = [lanner, "measure", path, "--runtime", "rten", "--threads", str(threads), "--budget", str(MOST)]

    def measured():
        table = path + ".csv"
        done = subprocess.run([*command, "--out", table, "--json"], capture_output=True, text=True)
        for file in pathlib.Path(path).parent.glob(pathlib.Path(path).name + ".*csv"):
            file.unlink()
        row = json.loads(done.stdout)["rows"][0] if done.stdout else {"note": done.stderr}
        if "latency_ms" not in row:
            raise RuntimeError(row.get("note", done.stderr))
        return row["latency_ms"], row["latency_ms_se"], 0

    return measured


def openvino(path, example, threads):
    import openvino

    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False}
    # The CPU's own precision would be bf16 where it has it.
    settings["INFERENCE_PRECISION_HINT"] = "f32"
    request = openvino.Core().compile_model(path, "CPU", settings).create_infer_request()
    request.set_input_tensor(openvino.Tensor(example))
    return request.infer


def measure(runtime, run, most=MOST):
    """Returns the median time of a run in ms, half the distance of quartiles, and the number of runs."""
    if runtime == "rten":
        return run()
    start = time.perf_counter()
    run()
    run()
    once = time.perf_counter()
    run()
    once = time.perf_counter() - once
    each, blocks, runs = max(1, int(BLOCK / once)), [], 0
    while len(blocks) < LEAST and (time.perf_counter() - start < most or len(blocks) < 5):
        begin = time.perf_counter()
        for _ in range(each):
            run()
        blocks.append((time.perf_counter() - begin) / each * 1e3)
        runs += each
    quartiles = statistics.quantiles(blocks, n=4)
    return statistics.median(blocks), (quartiles[2] - quartiles[0]) / 2, runs


def pack(out, count, folder):
    """Joins the tables to families.csv and archives the graphs of the first `count` networks of each family."""
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
    with tarfile.open(folder / "families.tar.xz", "w:xz", preset=9) as archive:
        for name in names:
            entry = tarfile.TarInfo(f"{name}.onnx")
            content = (out / "graphs" / f"{name}.onnx").read_bytes()
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    print(f"{len(names)} networks: {folder}/families.csv, families.tar.xz")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=100, help="networks of each family")
    parser.add_argument("--runtime", choices=RUNTIMES, nargs="+", default=["ort"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cores", type=lambda text: {int(core) for core in text.split(",")})
    parser.add_argument("--steady", action="store_true", help="measure in one state of the machine only")
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
        waiting, alone = [], Alone(args.cores, args.steady, folder)
        for job in todo + [None] * 4:
            if job:
                waiting.append((job, pool.submit(export, *job, path(job), graph(job))))
            if (job and len(waiting) < 4) or not waiting:
                continue
            network, future = waiting.pop(0)
            example, drawn = future.result()
            for runtime in (r for r in args.runtime if name(network) not in done[r]):
                try:
                    measured = alone(runtime, RUNTIMES[runtime], path(network), example, args.threads)
                except Exception as error:
                    print(f"{name(network)} {runtime}: refused: {str(error)[:200]}", flush=True)
                    continue
                median, spread, runs = measured
                with tables[runtime].open("a", newline="") as file:
                    row = [name(network), network[0], f"{median:.5g}", f"{spread:.3g}", runs, json.dumps(drawn)]
                    csv.writer(file).writerow(row)
                print(f"{name(network)} {runtime} {median:.3f} ms ± {spread:.3f}", flush=True)
            os.unlink(path(network))


class Alone:
    """Measures on cores of its own, at real-time priority, and with `--steady` in one state of the machine."""

    def __init__(self, cores, steady, folder):
        self.cores, self.reference, self.times, self.loops = cores, None, [], []
        if steady:
            for core in set(range(os.cpu_count())) - cores:
                script = f"import os; os.sched_setaffinity(0, {{{core}}}); os.kill(os.getpid(), 19)\nwhile True: pass"
                self.loops.append(subprocess.Popen([sys.executable, "-c", script]))
                time.sleep(0.5)
                os.sched_setscheduler(self.loops[-1].pid, os.SCHED_FIFO, os.sched_param(40))
            atexit.register(lambda: [loop.kill() for loop in self.loops])
            path = f"{folder}/reference.onnx"
            with ProcessPoolExecutor(1) as pool:
                example, _ = pool.submit(export, "resnet", 0, path, path + ".graph").result()
            self.reference = ort(path, example, 1)

    def __call__(self, runtime, make, path, example, threads):
        run = make(path, example, threads)
        for _ in range(5 if self.reference else 1):
            before, measured, after = self.at_priority(
                lambda: (self.state(), measure(runtime, run), self.state())
            )
            if not self.reference or self.is_usual(before, after):
                return measured
            print(f"another state than usual: {before:.3f}, {after:.3f} ms", flush=True)
            time.sleep(1)
        raise RuntimeError("the machine is in another state than usual")

    def state(self):
        if self.reference:
            self.times.append(measure("ort", self.reference, most=0.08)[0])
            return self.times[-1]

    def is_usual(self, *times):
        usual = statistics.median(self.times[-100:])
        return all(abs(ms / usual - 1) < 0.06 for ms in times)

    def at_priority(self, call):
        if not self.cores:
            return call()
        os.sched_setaffinity(0, self.cores)
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
        except PermissionError:
            pass
        for loop in self.loops:
            loop.send_signal(signal.SIGCONT)
        try:
            return call()
        finally:
            for loop in self.loops:
                loop.send_signal(signal.SIGSTOP)
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
            os.sched_setaffinity(0, range(os.cpu_count()))


RUNTIMES = {"ort": ort, "int8": int8, "openvino": openvino, "rten": rten}


if __name__ == "__main__":
    main()

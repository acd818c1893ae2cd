"""How busy a study keeps its workers, on a process pool or a Ray cluster of this machine.

    pip install . ray
    python benches/peers/workers.py processes|ray [--workers 16] [--trials 400] [--scale 1.0]

Trainings sleep 1 to 20 seconds, times --scale. Prints the share of the workers that are busy from the first training to the
begin of the last one; and how long a worker waits from the end of a training to the begin of its next one.
"""

import argparse
import random
import statistics
import time
from concurrent.futures import ProcessPoolExecutor

import lanner


class Sleep:
    def __init__(self, scale):
        self.scale = scale

    def __call__(self, trial):
        begin = time.time()
        time.sleep(self.scale * random.Random(trial.number).uniform(1, 20))
        score = trial.arch.count("3x3") - 0.1 * trial.arch.count("skip")
        return {"score": score, "begin": begin, "end": time.time()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=["processes", "ray"])
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--scale", type=float, default=1.0)
    args = parser.parse_args()
    if args.engine == "ray":
        import ray

        from lanner.ray import RayExecutor

        # More workers than cores: they sleep.
        ray.init(num_cpus=args.workers, log_to_driver=False, include_dashboard=False)
        executor = RayExecutor(n_workers=args.workers)
        wait = ray.remote(lambda: time.sleep(5))
        ray.get([wait.remote() for _ in range(args.workers)])
    else:
        executor = ProcessPoolExecutor(args.workers)
        list(executor.map(time.sleep, [0.5] * args.workers))
    study = lanner.create_study("nasbench201", maximize="score", seed=1)
    claims = []
    claim = study._claim

    def timed():
        start = time.perf_counter()
        trial = claim()
        claims.append(time.perf_counter() - start)
        return trial

    study._claim = timed
    study.optimize(Sleep(args.scale), n_trials=args.trials, executor=executor, n_jobs=args.workers)
    spans = sorted((t.metrics["begin"], t.metrics["end"]) for t in study.trials if t.state == "done")
    begins, ends = [s[0] for s in spans], sorted(s[1] for s in spans)
    last = begins[-1]
    busy = sum(min(end, last) - begin for begin, end in spans)
    gaps = [begin - end for begin, end in zip(begins[args.workers :], ends, strict=False)]
    print(f"{len(spans)} trainings, {args.workers} workers, {last - begins[0]:.1f} s")
    print(f"busy {100 * busy / args.workers / (last - begins[0]):.2f} %")
    print(f"from end to begin: mean {1000 * statistics.mean(gaps):.1f} ms, median {1000 * statistics.median(gaps):.1f}, most {1000 * max(gaps):.1f}")
    print(f"ask: mean {1000 * statistics.mean(claims):.1f} ms, most {1000 * max(claims):.1f}")


if __name__ == "__main__":
    main()

"""Kills workers, nodes and the driver of a study on a Ray cluster or a Dask cluster of this machine, and looks whether a
result is lost or told twice, and how many trainings begin after their result is known.

    pip install . ray dask distributed
    python benches/peers/kills.py ray|dask [--kills 24] [--trials 120] [--seed 1]

Ray: three nodes of two workers, each node a process (raylet) of its own; a killed node comes back. Dask: six workers
under nannies. The driver is a process that goes on with the study (`load_if_exists`) whenever it was killed.
"""

import argparse
import collections
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import lanner


class Train:
    """Notes begin and end, and the process that it runs in."""

    def __init__(self, folder):
        self.folder = str(folder)

    def note(self, what, trial):
        with open(Path(self.folder) / "calls", "a") as file:
            file.write(f"{what} {trial.number} {os.getpid()} {time.time()}\n")

    def __call__(self, trial):
        self.note("begin", trial)
        time.sleep(random.uniform(0.2, 1.0))
        self.note("end", trial)
        return trial.arch.count("3x3")


def drive(engine, address, folder, trials):
    """The driver: runs until the study is complete."""
    if engine == "ray":
        import ray

        from lanner.ray import RayExecutor

        ray.init(address=address, log_to_driver=False)
        executor = RayExecutor(n_workers=6)
    else:
        import distributed

        executor = distributed.Client(address).get_executor()
    study = lanner.create_study(
        "nasbench201", maximize="score", storage=Path(folder) / "study", load_if_exists=True, seed=5
    )

    def told(study, trial):
        with open(Path(folder) / "calls", "a") as file:
            file.write(f"told {trial.number} {os.getpid()} {time.time()}\n")

    study.optimize(Train(folder), total_trials=trials, executor=executor, n_jobs=6, callbacks=[told])


class RayCluster:
    def __init__(self):
        # A busy machine begins processes late, and answers late.
        os.environ.setdefault("RAY_raylet_start_wait_time_s", "180")
        os.environ.setdefault("RAY_health_check_failure_threshold", "50")
        from ray.cluster_utils import Cluster

        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        self.nodes = [self.cluster.add_node(num_cpus=2) for _ in range(3)]
        self.address = self.cluster.address

    def kill_node(self, rng):
        node = self.nodes.pop(rng.randrange(len(self.nodes)))
        self.cluster.remove_node(node, allow_graceful=False)
        while len(self.nodes) < 3:
            try:
                self.nodes.append(self.cluster.add_node(num_cpus=2))
            except Exception as error:
                print(f"a node did not begin in time, another one is begun: {error}", flush=True)

    def close(self):
        self.cluster.shutdown()


class DaskCluster:
    def __init__(self):
        import distributed

        self.cluster = distributed.LocalCluster(
            n_workers=6, threads_per_worker=1, processes=True, dashboard_address=None
        )
        self.address = self.cluster.scheduler_address

    def kill_node(self, rng):
        """A nanny begins its worker anew."""
        nannies = list(self.cluster.workers.values())
        if len(nannies) < 6:
            # A nanny that could not begin a worker in time on a busy machine is gone.
            self.cluster.scale(6)
        nanny = rng.choice(nannies) if nannies else None
        if nanny is not None and nanny.process is not None and nanny.process.pid:
            os.kill(nanny.process.pid, signal.SIGKILL)

    def close(self):
        self.cluster.close()


def running(calls):
    """Processes that train now. A number may belong to another process by now, which began later."""
    open_ = {}
    for line in calls.read_text().splitlines() if calls.exists() else []:
        what, _, pid, when = line.split()
        if what == "begin":
            open_[int(pid)] = float(when)
        elif what == "end":
            open_.pop(int(pid), None)
    return [pid for pid, when in open_.items() if began(pid) < when]


def began(pid):
    """Time when a process began, Unix seconds; never if there is none."""
    try:
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return float("inf")
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")


def check(folder, trials):
    study = lanner.create_study(
        "nasbench201", maximize="score", storage=Path(folder) / "study", load_if_exists=True, seed=5
    )
    finished = {str(t.number): t.finished for t in study.trials if t.finished}
    died = [t for t in study.trials if t.state == "failed" and "the worker died, 3 times" in t.note]
    assert study.counts["done"] + len(died) == trials == len(study.trials), study.counts
    begun, results = collections.Counter(), collections.Counter()
    again = 0
    for line in (Path(folder) / "calls").read_text().splitlines():
        what, trial, _, when = line.split()
        if what == "begin":
            begun[trial] += 1
            again += float(when) > finished[trial] + 1
        elif what == "told":
            results[trial] += 1
    lost = [t.number for t in study.trials if t.state == "done" and t.value != t.arch.count("3x3")]
    assert not lost and max(results.values()) == 1, (lost, results)
    assert len({t.arch for t in study.trials}) == trials
    print(
        f"{trials} trials ended, {len(died)} as one that kills workers, {begun.total()} begun, {again} after its result "
        "was known (an engine's task of a killed driver); no result lost, none twice"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=["ray", "dask"])
    parser.add_argument("--kills", type=int, default=24)
    parser.add_argument("--trials", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--drive", nargs=2, metavar=("ADDRESS", "FOLDER"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.drive:
        return drive(args.engine, *args.drive, args.trials)
    rng = random.Random(args.seed)
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    cluster = RayCluster() if args.engine == "ray" else DaskCluster()
    line = [sys.executable, __file__, args.engine, "--trials", str(args.trials)]
    line += ["--drive", cluster.address, str(folder)]
    kills, driver = collections.Counter(), None
    try:
        while True:
            if driver is None:
                driver = subprocess.Popen(line, start_new_session=True)
            try:
                code = driver.wait(rng.uniform(1, 4))
                assert code == 0, f"the driver ended with code {code}"
                break
            except subprocess.TimeoutExpired:
                pass
            if not (folder / "calls").exists() or kills.total() >= args.kills:
                continue
            what = rng.choice(["worker", "worker", "node", "driver"])
            pids = running(folder / "calls")
            if what == "worker" and pids:
                os.kill(rng.choice(pids), signal.SIGKILL)
            elif what == "node":
                cluster.kill_node(rng)
            elif what == "driver":
                driver.kill()
                driver.wait()
                driver = None
            else:
                continue
            kills[what] += 1
        print(f"{args.engine}: {kills.total()} kills, {dict(kills)}")
        check(folder, args.trials)
    finally:
        if driver is not None and driver.poll() is None:
            driver.kill()
        cluster.close()


if __name__ == "__main__":
    main()

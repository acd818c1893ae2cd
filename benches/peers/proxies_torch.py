"""The zero-cost proxies in PyTorch, each on its own: thirteen as NASLib computes them (definitions of
NAS-Bench-Suite-Zero, in our own words), the others as the documentation of `Proxy` defines them: golden
values, and times to compare with.

    cargo run -p lanner-evaluate --example proxy_networks \\
        | python benches/peers/proxies_torch.py golden > crates/lanner-evaluate/tests/data/proxies_golden.json
    cargo run --release -p lanner-evaluate --example proxy_networks bench 50 \\
        | OMP_WAIT_POLICY=passive python benches/peers/proxies_torch.py bench [threads]
    cargo run --release -p lanner-evaluate --example proxy_networks bench 10 \\
        | python benches/peers/proxies_torch.py grasp > grasp.json
    LANNER_GRASP=$PWD/grasp.json cargo test --release -p lanner-evaluate grasp -- --ignored --nocapture

`golden` computes in f64 from weights and images that tests make the same way. `bench` computes in f32
at batch 64, and prints seconds a network and by how much the process grew at most. `grasp` is golden
values of grasp alone at batch 64, in f64 and f32.
"""

import copy
import json
import math
import sys
import time

import numpy as np
import torch

from proxies_torch_later import LATER
from proxies_torch_network import Network, fan_in, made, made_batch, weighted
from proxies_torch_thirteen import THIRTEEN, flops, grasp, zen

ALL = THIRTEEN + LATER


def golden_grasp(description):
    """In f64, and in f32 at the same weights and images."""
    net = Network(description).double()
    x, _, t = made_batch(net, 64, 12)
    net = made(net, 11, fan_in)
    values = [grasp(copy.deepcopy(net), x, t), grasp(copy.deepcopy(net).float(), x.float(), t)]
    return {"arch": description["name"], "grasp": values}


def golden(description):
    net = Network(description).double()
    x, x2, t = made_batch(net, 12, 15)
    plain_net, zen_net = made(net, 11, fan_in), made(net, 14, lambda m: 2.0)
    values = {}
    for proxy in ALL:
        if proxy is flops:
            continue
        if proxy is zen:
            for m in weighted(zen_net):
                if m.bias is not None:
                    m.bias.data.zero_()
            value = zen(zen_net, x, t, (x, x2))
        else:
            value = proxy(copy.deepcopy(plain_net), x, t)
        values[proxy.__name__] = float(value) if math.isfinite(value) else None
    other = {"other": description["other"]} if "other" in description else {}
    return {"arch": description["name"], **other, "proxies": values}


def bench(descriptions, threads):
    import resource

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    rss = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    times, start_up = [], rss()
    for description in descriptions:
        net = Network(description)
        x, t = torch.randn(64, *net.input), torch.randint(10, (64,))
        # Processor time: with one thread it is what a free processor's clock would show.
        clock = time.process_time if threads == 1 else time.perf_counter
        start = clock()
        parts = {}
        for proxy in ALL:
            begin = clock()
            proxy(copy.deepcopy(net), x, t)
            parts[proxy.__name__] = clock() - begin
        times.append(clock() - start)
        shown = " ".join(f"{k} {v:.2f}" for k, v in parts.items() if v > 0.005)
        print(f"{description['name']} {times[-1]:.3f} s: {shown}", flush=True)
    print(f"mean {np.mean(times):.3f} s, geometric {np.exp(np.mean(np.log(times))):.3f} s, "
          f"grew by {rss() - start_up:.0f} MiB over {start_up:.0f}")


if __name__ == "__main__":
    nets = [json.loads(line) for line in sys.stdin if line.startswith("{")]
    if sys.argv[1] == "golden":
        print("[\n" + ",\n".join(json.dumps(golden(net)) for net in nets) + "\n]")
    elif sys.argv[1] == "grasp":
        print("[\n" + ",\n".join(json.dumps(golden_grasp(net)) for net in nets) + "\n]")
    else:
        bench(nets, int(sys.argv[2]) if len(sys.argv) > 2 else 1)

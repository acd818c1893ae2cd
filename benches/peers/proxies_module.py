"""Zero-cost proxies of random networks of NAS-Bench-201 by Lanner's engine, and of the same networks as
PyTorch modules: all together (lanner.torch.proxies), and one by one.

    OMP_WAIT_POLICY=passive python benches/peers/proxies_module.py [networks] [threads]

Full size, batch 64, all proxies. Seconds of processor time on one thread, else of the clock.
"""

import sys
import time

import numpy as np
import torch

import lanner
import lanner.torch

count = int(sys.argv[1]) if len(sys.argv) > 1 else 10
threads = int(sys.argv[2]) if len(sys.argv) > 2 else 1
torch.set_num_threads(threads)
torch.manual_seed(0)
clock = time.process_time if threads == 1 else time.perf_counter
space = lanner.Space("nasbench201")
rows = []
for arch in space.sample(count, seed=0):
    start = clock()
    lanner.proxies([arch], space, threads=threads)
    ours = clock() - start
    network = lanner.Network(arch, space, pruned=False)
    module = network.to_torch()
    batch = torch.randn(64, *network.input_shape), torch.randint(10, (64,))
    start = clock()
    scores = lanner.torch.proxies(module, batch)
    together = clock() - start
    start = clock()
    for name in [*scores, *scores.absent]:
        lanner.torch.proxies(module, batch, names=[name])
    rows.append((ours, together, clock() - start))
    print(*(f"{seconds:.2f}" for seconds in rows[-1]), flush=True)
ours, together, alone = np.array(rows).T
for name, seconds in (("together", together), ("one by one", alone)):
    ratio = seconds / ours
    print(f"{name}: {seconds.mean():.2f} s against {ours.mean():.3f} s, "
          f"ratio {seconds.sum() / ours.sum():.1f}, geometric {np.exp(np.log(ratio).mean()):.1f}, "
          f"{ratio.min():.1f} to {ratio.max():.1f}")

"""Processor time of predicting all 15,625 networks of NAS-Bench-201 from Python, beside ranking the space, which does the
same work within the library.

    pip install . numpy
    RAYON_NUM_THREADS=1 python benches/peers/predict_overhead.py
"""

import time

import lanner

space = lanner.Space("nasbench201")
archs = list(space)
known = space.sample(100, seed=1)
values = [0.1 + lanner.Network(arch, space).costs["flops"] / 1e8 for arch in known]
for kind in ("latency", "accuracy"):
    predictor = lanner.Predictor.fit(known, values, space=space, kind=kind)
    least = {}
    for _ in range(7):
        for name, call in (("predict", lambda: predictor.predict(archs)), ("rank", lambda: predictor.rank(1))):
            start = time.process_time()
            call()
            least[name] = min(least.get(name, 1e9), time.process_time() - start)
    print(f"{kind}: predict {least['predict']:.3f} s, rank {least['rank']:.3f} s, {100 * (least['predict'] / least['rank'] - 1):.1f} % more")

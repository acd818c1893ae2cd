"""Checks networks of transformers against onnx.checker, ONNX Runtime and the same networks written in PyTorch.

    pip install torch numpy onnx onnxruntime
    python crates/lanner-network/tests/check_transformers.py [--models FOLDER] [--count 1]

Without --models the models are made first, by `cargo run --example export_transformers`. PyTorch computes a
network from the architecture's text, which is the model's name, with the weights of the model: attention by
`scaled_dot_product_attention`, positions turned as complex numbers. Outputs must agree within 1e-4 of the
largest of them, and twice Lanner's count of products with that of `torch.utils.flop_counter`.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime
import torch
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

TOLERANCE = 1e-4
GPT = dict(stages=[""], head=64, causal=True, rotary=32, parallel=True, gate=True, act=F.silu)
VIT = dict(stages=[""], head=64, patch=(16, 16), act=F.gelu)
SPACES = {
    "hw-gpt": GPT,
    "autoformer": VIT,
    "pit": dict(VIT, stages=["s1_", "s2_", "s3_"], head=None, patch=(16, 8), merge=True),
    "hat": dict(stages=["encoder_", "decoder_"], inner=512, act=F.relu),
}


class Network:
    def __init__(self, weights, spec, arch):
        self.w, self.spec, self.arch = weights, spec, arch

    def linear(self, name, x):
        bias = self.w.get(f"{name}.bias")
        return F.linear(x, self.w[f"{name}.weight"].T, bias)

    def norm(self, name, x):
        return F.layer_norm(x, x.shape[-1:], self.w[f"{name}.weight"], self.w[f"{name}.bias"])

    def turned(self, x):
        """Turns pairs of channels (i, i + half) by the token's place times 10000^(−i / half)."""
        size, tokens = self.spec.get("rotary", 0), x.shape[-2]
        if not size:
            return x
        half = size // 2
        rates = 10000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
        angles = torch.arange(tokens, dtype=torch.float64)[:, None] * rates
        turn = torch.polar(torch.ones_like(angles), angles)
        y = torch.complex(x[..., :half].double(), x[..., half:size].double()) * turn
        return torch.cat([y.real.float(), y.imag.float(), x[..., size:]], -1)

    def attention(self, place, x, heads, source=None, causal=False):
        if source is None:
            q, k, v = self.linear(f"{place}.qkv", x).chunk(3, -1)
        else:
            q, (k, v) = self.linear(f"{place}.q", x), self.linear(f"{place}.kv", source).chunk(2, -1)
        q, k, v = (t.unflatten(-1, (heads, -1)).transpose(1, 2) for t in (q, k, v))
        if source is None:
            q, k = self.turned(q), self.turned(k)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return self.linear(f"{place}.out", y.transpose(1, 2).flatten(2))

    def stage(self, prefix, x, memory):
        spec, arch, outputs = self.spec, self.arch, []
        place = prefix.strip("_") or "layer"
        for n in range(arch[prefix + "depth"]):
            def value(name, default=None):
                found = arch.get(prefix + name, arch.get(name, default))
                return found[n] if isinstance(found, list) else found

            at = f"{place}{n + 1}"
            causal = spec.get("causal", memory is not None)
            y = x + self.attention(f"{at}.attention", self.norm(f"{at}.attention.norm", x), value("heads"), causal=causal)
            if memory is not None:
                source = torch.cat(memory[-value("cross_layers"):], 1)
                z = self.norm(f"{at}.cross.norm", y)
                y = y + self.attention(f"{at}.cross", z, value("cross_heads"), source)
            z = self.norm(f"{at}.mlp.norm", x if spec.get("parallel") else y)
            a = spec["act"](self.linear(f"{at}.mlp.1", z))
            if spec.get("gate"):
                a = a * self.linear(f"{at}.mlp.gate", z)
            x = y + self.linear(f"{at}.mlp.2", a)
            outputs.append(x)
        return x, outputs

    def sines(self, tokens, width):
        place, channel = torch.arange(tokens)[:, None].double(), torch.arange(width)
        angle = place * 10000.0 ** (-(channel // 2 * 2) / width)
        return torch.where(channel % 2 == 0, angle.sin(), angle.cos()).float()

    def __call__(self, *inputs):
        spec, x, memory = self.spec, None, None
        for i, prefix in enumerate(spec["stages"]):
            place = prefix.strip("_") or "layer"
            if "patch" in spec and i == 0:
                x = F.conv2d(inputs[0], self.w["patches.weight"], self.w["patches.bias"], stride=spec["patch"][1])
                grid = x.shape[2:]
                x = x.flatten(2).transpose(1, 2)
                x = torch.cat([self.w["class.weight"].expand(len(x), -1, -1), x], 1) + self.w["positions.weight"]
            elif "patch" in spec:
                image = x[:, 1:].transpose(1, 2).unflatten(2, grid)
                image = F.avg_pool2d(image, 2, ceil_mode=True)
                grid = image.shape[2:]
                x = torch.cat([x[:, :1], image.flatten(2).transpose(1, 2)], 1)
                x = self.linear(f"{place}.widen", x)
            else:
                x = F.embedding(inputs[i], self.w[f"{place}.embedding.weight"])
                if not spec.get("rotary"):
                    x = x + self.sines(x.shape[1], x.shape[2])
            x, outputs = self.stage(prefix, x, memory)
            memory = outputs if "patch" not in spec else None
        x = self.norm("head.norm", x)
        return self.linear("head.linear", x[:, 0] if "patch" in spec else x)


def inputs_of(session):
    generator = np.random.default_rng(0)
    for of in session.get_inputs():
        shape = [1 if isinstance(n, str) else n for n in of.shape]
        if of.type == "tensor(int64)":
            yield of.name, generator.integers(0, 1000, shape)
        else:
            yield of.name, generator.standard_normal(shape).astype(np.float32)


def check(path, counts):
    model = onnx.load(path)
    # Larger ones cannot be checked as messages.
    onnx.checker.check_model(str(path), full_check=True)
    weights = {t.name: torch.from_numpy(onnx.numpy_helper.to_array(t).copy()) for t in model.graph.initializer}
    spec = next(spec for name, spec in SPACES.items() if path.name.startswith(name))
    network = Network(weights, spec, json.loads(model.graph.name))
    del model
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feed = dict(inputs_of(session))
    theirs = session.run(None, feed)[0]
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        ours = network(*map(torch.from_numpy, feed.values())).numpy()
    error = abs(ours - theirs).max() / abs(theirs).max()
    ratio = 2 * counts["products"] / counter.get_total_flops()
    params = sum(w.numel() for w in weights.values())
    good = error <= TOLERANCE and ratio == 1.0 and params == counts["params"] and math.isfinite(error)
    print(f"{path.name}: error {error:.1e}, products {ratio:.6f} of PyTorch's, {params:,} weights{'' if good else '  WRONG'}", flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--count", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = args.models or Path(made)
        if not args.models:
            command = ["cargo", "run", "--release", "-q", "-p", "lanner-network", "--example", "export_transformers"]
            subprocess.run([*command, "--", str(folder), str(args.count)], check=True)
        counts = json.loads((folder / "counts.json").read_text())
        good = [check(folder / f"{name}.onnx", count) for name, count in counts.items()]
    print(f"{sum(good)} of {len(good)} agree")
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()

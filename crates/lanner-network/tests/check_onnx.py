"""Checks the ONNX models against onnx.checker, ONNX Runtime and networks written in PyTorch.

    pip install torch numpy onnx onnxruntime
    python crates/lanner-network/tests/check_onnx.py [--models FOLDER] [--count 18] [--seed 0]

Without --models the models are made first, by `cargo run --example export`. Each architecture comes
four times: as written or pruned, folded or not, always with the same weights. PyTorch computes the
published network from the architecture's text and the weights of the unfolded model as written; all
four must yield its outputs, within 1e-4 of the largest of them (networks that are not trained have
outputs of any size: a cell of skips alone multiplies by four). The pruned and folded one comes in
8-bit integers too, where the outputs' root mean square error may be 6 % of their size: the
weights have seven bits, and errors add up over up to 95 convolutions.
"""

import argparse
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

TOLERANCE = 1e-4
TOLERANCE_INT8 = 0.06


def initialisers(model):
    return {t.name: torch.from_numpy(onnx.numpy_helper.to_array(t).copy()) for t in model.graph.initializer}


def batch_norm(w, name, x, eps=1e-5):
    mean, var = w[f"{name}.running_mean"], w[f"{name}.running_var"]
    return F.batch_norm(x, mean, var, w[f"{name}.weight"], w[f"{name}.bias"], False, 0.0, eps)


def relu_conv_bn(w, name, x, kernel, stride=1):
    y = F.conv2d(F.relu(x), w[f"{name}.conv.weight"], stride=stride, padding=kernel // 2)
    return batch_norm(w, f"{name}.bn", y)


def cell(w, place, text, x):
    """Each node is the sum over the earlier ones, as `|op~0|+|op~0|op~1|+…` says."""
    nodes = [x]
    for to, part in enumerate(text.split("+"), start=1):
        total = 0
        for edge in part.strip("|").split("|"):
            op, source = edge.split("~")
            x, name = nodes[int(source)], f"{place}.{source}-{to}"
            if op == "none":
                y = torch.zeros_like(x)
            elif op == "skip_connect":
                y = x
            elif op == "avg_pool_3x3":
                y = F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
            else:
                y = relu_conv_bn(w, name, x, int(op[-1]))
            total = total + y
        nodes.append(total)
    return nodes[-1]


def nasbench201(w, text, cells, x):
    x = batch_norm(w, "stem.bn", F.conv2d(x, w["stem.conv.weight"], padding=1))
    for stage in (1, 2, 3):
        if stage > 1:
            name = f"reduce{stage - 1}"
            y = relu_conv_bn(w, f"{name}.b", relu_conv_bn(w, f"{name}.a", x, 3, 2), 3)
            x = y + F.conv2d(F.avg_pool2d(x, 2), w[f"{name}.shortcut.conv.weight"])
        for n in range(1, cells + 1):
            x = cell(w, f"stage{stage}.cell{n}", text, x)
    x = F.relu(batch_norm(w, "head.bn", x)).mean((2, 3))
    return F.linear(x, w["head.linear.weight"], w["head.linear.bias"])


def zoo(w, x):
    a = F.conv2d(x, w["dilated.weight"], w["dilated.bias"], stride=2, padding=2, dilation=2)
    b = F.hardswish(batch_norm(w, "dilated.bn", a, 1e-3))
    c = F.conv2d(b, w["grouped.weight"], padding=2, groups=3)
    c = F.relu6(F.channel_shuffle(c, 3))
    x = torch.cat([c, F.max_pool2d(b, 3, 1, 1), F.avg_pool2d(b, 3, 1, 1)], 1)
    gate = F.relu(F.linear(x.mean((2, 3)), w["narrow.weight"], w["narrow.bias"]))
    gate = torch.sigmoid(F.linear(gate, w["widen.weight"]))
    x = x * gate[:, :, None, None] + x + x
    return F.linear(x.mean((2, 3)), w["scores.weight"], w["scores.bias"])


def run(path, x, optimise):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(["output"], {"input": x.numpy()})[0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", type=Path)
    parser.add_argument("--count", type=int, default=18)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    if args.models is None:
        args.models = Path(tempfile.mkdtemp(prefix="lanner-onnx-"))
        command = ["cargo", "run", "-q", "--release", "-p", "lanner-network", "--example", "export", "--"]
        command += [str(args.models), str(args.count), str(args.seed)]
        subprocess.run(command, check=True, cwd=Path(__file__).parent)

    worst, worst_int8, checked, failed = 0.0, 0.0, 0, 0
    for base in sorted(args.models.glob("*-raw.onnx")) + [args.models / "zoo.onnx"]:
        model = onnx.load(base)
        w, text = initialisers(model), model.graph.name
        channels, height, width = (d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim[1:])
        x = torch.randn(3, channels, height, width)
        with torch.no_grad():
            if text == "zoo":
                expected, kinds = zoo(w, x).numpy(), ["zoo", "zoo-folded"]
            else:
                cells = 5 if channels == 3 and height == 32 else 2
                expected = nasbench201(w, text, cells, x).numpy()
                stem = base.name.removesuffix("-raw.onnx")
                kinds = [f"{stem}-{k}" for k in ("raw", "raw-folded", "pruned", "pruned-folded")]
        size = max(1e-3, float(np.abs(expected).max()))
        errors = []
        for kind in kinds:
            path = args.models / f"{kind}.onnx"
            onnx.checker.check_model(str(path), full_check=True)
            for optimise in (False, True):
                got = run(path, x, optimise)
                error = float(np.abs(got - expected).max()) / size if got.shape == expected.shape else np.inf
                errors.append(error)
                checked += 1
                failed += not error <= TOLERANCE
        worst = max(worst, *errors)
        integers = []
        for kind in ("int8", "int8-pad"):
            path = args.models / f"{kinds[-1]}-{kind}.onnx"
            onnx.checker.check_model(str(path), full_check=True)
            got = run(path, x, True)
            error = float(np.linalg.norm(got - expected) / max(1e-3, np.linalg.norm(expected)))
            integers.append(error if got.shape == expected.shape else np.inf)
            checked += 1
            failed += not integers[-1] <= TOLERANCE_INT8
        worst_int8 = max(worst_int8, *integers)
        print(f"{max(errors):.1e}  int8 {max(integers):.1e}  largest output {size:9.3g}  {text}")
    print(f"{checked} runs, {failed} outside the tolerance, largest deviation {worst:.1e}, int8 {worst_int8:.1e}")
    return 1 if failed or not checked else 0


if __name__ == "__main__":
    sys.exit(main())

"""An ONNX file of Lanner as a PyTorch module that can be trained, and the trained weights back into the file."""

import numpy
import onnx
import torch
from onnx import numpy_helper
from torch.nn import functional as F


class Network(torch.nn.Module):
    """Runs the nodes of an ONNX graph in order; float tensors of the file are parameters or running statistics."""

    def __init__(self, path):
        super().__init__()
        self.model = onnx.load(path)
        graph = self.model.graph
        self.nodes = [
            (n.op_type, list(n.input), n.output[0], {a.name: onnx.helper.get_attribute_value(a) for a in n.attribute})
            for n in graph.node
        ]
        self.source, self.target = graph.input[0].name, graph.output[0].name
        statistics = {name for op, inputs, _, _ in self.nodes if op == "BatchNormalization" for name in inputs[3:5]}
        # Module attributes may not have dots in their names.
        self.places, self.constants = {}, {}
        for tensor in graph.initializer:
            value = torch.from_numpy(numpy_helper.to_array(tensor).copy())
            place = tensor.name.replace(".", "_")
            if not value.is_floating_point():
                self.constants[tensor.name] = value.tolist()
            elif tensor.name in statistics or value.dim() == 0:
                self.register_buffer(place, value)
                self.places[tensor.name] = place
            else:
                self.register_parameter(place, torch.nn.Parameter(value))
                self.places[tensor.name] = place

    def forward(self, images):
        values = {self.source: images}

        def get(name):
            if name in values:
                return values[name]
            return self.constants[name] if name in self.constants else getattr(self, self.places[name])

        for op, inputs, output, attributes in self.nodes:
            values[output] = self.run(op, [get(name) for name in inputs], attributes)
        return values[self.target]

    def run(self, op, x, a):
        match op:
            case "Conv":
                bias = x[2] if len(x) > 2 else None
                return F.conv2d(x[0], x[1], bias, a["strides"], a["pads"][:2], a["dilations"], a["group"])
            case "BatchNormalization":
                return F.batch_norm(x[0], x[3], x[4], x[1], x[2], self.training, 0.1, a["epsilon"])
            case "Gemm":
                return F.linear(x[0], x[1], x[2] if len(x) > 2 else None)
            case "MaxPool":
                return F.max_pool2d(x[0], a["kernel_shape"], a["strides"], a["pads"][:2])
            case "AveragePool":
                inside = bool(a.get("count_include_pad", 0))
                return F.avg_pool2d(x[0], a["kernel_shape"], a["strides"], a["pads"][:2], count_include_pad=inside)
            case "GlobalAveragePool":
                return x[0].mean((2, 3), keepdim=True)
            case "Relu":
                return F.relu(x[0])
            case "Clip":
                return x[0].clamp(x[1], x[2])
            case "HardSwish":
                return F.hardswish(x[0])
            case "HardSigmoid":
                return F.hardsigmoid(x[0])
            case "Sigmoid":
                return x[0].sigmoid()
            case "Add":
                return x[0] + x[1]
            case "Mul":
                return x[0] * x[1]
            case "Concat":
                return torch.cat(x, a["axis"])
            case "Flatten":
                return x[0].flatten(1)
            case "Identity":
                return x[0]
            case "Reshape":
                return x[0].reshape([x[0].shape[i] if n == 0 else n for i, n in enumerate(x[1])])
            case "Transpose":
                return x[0].permute(a["perm"])
            case "Pad":
                left, right = x[1][: len(x[1]) // 2], x[1][len(x[1]) // 2 :]
                return F.pad(x[0], [n for pair in reversed(list(zip(left, right))) for n in pair])
            case "Slice":
                for start, end, axis in zip(*x[1:4]):
                    x[0] = x[0].narrow(axis, start, end - start)
                return x[0]
        raise NotImplementedError(f"operation {op}")

    def save(self, path):
        """The file with the weights that this module has now."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        for tensor in model.graph.initializer:
            if tensor.name in self.places:
                value = getattr(self, self.places[tensor.name]).detach().cpu().numpy()
                tensor.CopyFrom(numpy_helper.from_array(numpy.ascontiguousarray(value), tensor.name))
        onnx.save(model, path)

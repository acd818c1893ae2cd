"""Recurrent networks, and models for any number of inputs, through ONNX and back to PyTorch."""

import pytest

import lanner

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")


class Tagger(torch.nn.Module):
    """Recurrent layers and a classifier of their last step, or of their last state."""

    def __init__(self, kind, of_state=False, **settings):
        super().__init__()
        self.of_state = of_state
        self.rnn = getattr(torch.nn, kind)(6, 5, **settings)
        self.head = torch.nn.Linear(5 if of_state else 5 * (1 + self.rnn.bidirectional), 3)

    def forward(self, x):
        steps, state = self.rnn(x)
        state = state[0] if isinstance(state, tuple) else state
        return self.head(state[-1] if self.of_state else steps[:, -1])


def exported(module, example, **settings):
    from lanner._export import to_onnx

    return to_onnx(module, example, **settings)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize(
    "settings",
    [
        {"batch_first": True},
        {"bidirectional": True, "num_layers": 2},
        {"bias": False, "batch_first": True},
        {"of_state": True, "batch_first": True},
    ],
)
def test_recurrent_layers_are_the_same_again(kind, settings):
    torch.manual_seed(1)
    module = Tagger(kind, **settings).eval()
    x = torch.randn(4, 7, 6)
    again = lanner.to_torch(exported(module, x))
    assert torch.allclose(again(x), module(x), atol=1e-6)
    # It is trained on: the same weights get the same gradients, all of them.
    for one in (module, again):
        one.zero_grad()
        one(x).square().sum().backward()
    assert sum(p.numel() for p in again.parameters()) == sum(p.numel() for p in module.parameters())
    grads = [sum(float(p.grad.square().sum()) for p in one.parameters()) for one in (module, again)]
    assert grads[0] == pytest.approx(grads[1], rel=1e-4)


@pytest.mark.parametrize(
    ("op", "attributes", "extra", "says"),
    [
        ("GRU", {}, [], "has linear_before_reset = 0"),
        ("LSTM", {"input_forget": 1}, [], "has input_forget = 1"),
        ("LSTM", {"clip": 1.0}, [], "has clip = 1.0"),
        ("LSTM", {"direction": "reverse"}, [], "has direction reverse"),
        ("LSTM", {}, [torch.tensor([3])], "takes lengths of sequences"),
        ("LSTM", {}, [None, torch.ones(1, 1, 5)], "begins with a state that is not 0"),
    ],
)
def test_what_pytorch_has_not_is_refused(op, attributes, extra, says):
    from lanner._torch_recurrent import recurrent

    gates = 4 if op == "LSTM" else 3
    weights = [torch.zeros(1, gates * 5, 6), torch.zeros(1, gates * 5, 5), torch.zeros(1, 2 * gates * 5)]
    with pytest.raises(lanner.InputError, match=f"operator {op} of it {says}, which PyTorch's layer does not"):
        recurrent("it", op, attributes, [*weights, *extra])


def test_networks_for_any_number_of_inputs_are_kept(tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    study = lanner.create_study("nasbench201", maximize="score", seed=1)
    layers = [torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Flatten()]
    module = torch.nn.Sequential(*layers, torch.nn.Linear(8 * 36, 4)).eval()

    def train(trial):
        trial.save(module, torch.zeros(1, 3, 8, 8), open_batch=True)
        return 1.0

    study.optimize(train, n_trials=1)
    model = study.export(tmp_path / "best.onnx")
    session = runtime.InferenceSession(model)
    again = lanner.to_torch(model)
    for n in (1, 5):
        x = torch.randn(n, 3, 8, 8)
        (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        assert torch.allclose(torch.tensor(found), module(x), atol=1e-5)
        assert torch.allclose(again(x), module(x), atol=1e-5)
    # Several inputs have one number.
    two = torch.nn.Bilinear(3, 4, 2).eval()
    model = exported(two, {"input1": torch.zeros(1, 3), "input2": torch.zeros(1, 4)}, open_batch=True)
    given = {"input1": torch.randn(7, 3), "input2": torch.randn(7, 4)}
    (found,) = runtime.InferenceSession(model).run(None, {name: x.numpy() for name, x in given.items()})
    assert torch.allclose(torch.tensor(found), two(**given), atol=1e-5)
    with pytest.raises(lanner.InputError, match="open_batch is 'yes', a str, expected True or False"):
        study.trials[0].save(module, torch.zeros(1, 3, 8, 8), open_batch="yes")

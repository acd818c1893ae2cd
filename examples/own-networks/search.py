"""Searches my own residual networks for the digits, within a latency limit on this machine."""

import torch
from torch import nn

import lanner


class Block(nn.Module):
    def __init__(self, inputs, outputs, kernel, expand):
        super().__init__()
        wide, same = outputs * expand, kernel // 2
        self.layers = nn.Sequential(
            nn.Conv2d(inputs, wide, kernel, padding=same), nn.BatchNorm2d(wide), nn.ReLU(),
            nn.Conv2d(wide, outputs, kernel, padding=same), nn.BatchNorm2d(outputs))  # fmt: skip
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x):
        return torch.relu(self.skip(x) + self.layers(x))


def build(arch):
    sizes = [arch["width"]] * arch["depth"]
    blocks = [Block(i, o, **b) for i, o, b in zip([1, *sizes], sizes, arch["block"], strict=False)]
    return nn.Sequential(
        *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(sizes[-1], 10))  # fmt: skip


def train(trial):
    torch.manual_seed(trial.seed)
    network, best = trial.module(), torch.optim.Adam
    optimizer = best(network.parameters(), trial.arch["lr"])
    for _ in range(2):
        for rows in torch.randperm(len(x)).split(32):
            loss = nn.functional.cross_entropy(network(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    network.eval()
    trial.save(network, example)
    return 100 * (network(test_x).argmax(1) == test_y).float().mean().item()


digits = lanner.images("digits")
x, test_x = (torch.tensor(i).float() / 255 - 0.3 for i in (digits.train, digits.test))
y, test_y = torch.tensor(digits.train_labels), torch.tensor(digits.test_labels)
example = torch.zeros(1, 1, 8, 8)
space = lanner.space(
    "my-resnets",
    depth=lanner.Int(1, 4), width=lanner.Choice(8, 16, 32),
    lr=lanner.Float(1e-3, 1e-1, log=True, network=False),
    block=lanner.Repeat("depth", kernel=lanner.Choice(1, 3, 5), expand=lanner.Choice(1, 2)),
)  # fmt: skip

if __name__ == "__main__":
    torch.set_num_threads(1)
    study = lanner.create_study(
        space, maximize="accuracy", limits=["latency_ms <= 0.05"], storage="own-networks-study",
        load_if_exists=True, build=build, example_input=example, device=lanner.device("onnxruntime"),
        first_measurements=6)  # fmt: skip
    study.optimize(train, total_trials=12, callbacks=[lambda study, trial: print(trial)])
    print(study.best_trial)
    study.export("best.onnx")

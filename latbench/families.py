"""Draws networks of fourteen families from ranges of widths, depths, kernels and resolutions.

`draw(family, rng)` returns a PyTorch module, an example input and the drawn numbers. The ranges are
as wide as those of NNLQP (Liu et al., ICPP 2022): a family is a way to build, not a model.
"""

import torch
from torch import nn
from torch.nn import functional as F


def conv(inputs, outputs, kernel=3, stride=1, groups=1, act=nn.ReLU):
    layers = [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)]
    layers.append(nn.BatchNorm2d(outputs))
    return nn.Sequential(*layers, *([act()] if act else []))


class SqueezeExcite(nn.Module):
    def __init__(self, channels, hidden, gate=nn.Sigmoid, act=nn.ReLU):
        super().__init__()
        self.body = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, hidden, 1), act(), nn.Conv2d(hidden, channels, 1), gate()
        )

    def forward(self, x):
        return x * self.body(x)


class Residual(nn.Module):
    """Adds a shortcut to `body`: the input, or a 1×1 convolution of it where shapes differ."""

    def __init__(self, body, inputs, outputs, stride, act=None):
        super().__init__()
        same = inputs == outputs and stride == 1
        self.body, self.act = body, act() if act else nn.Identity()
        self.shortcut = nn.Identity() if same else conv(inputs, outputs, 1, stride, act=None)

    def forward(self, x):
        return self.act(self.body(x) + self.shortcut(x))


def classifier(channels):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1000))


def image(rng, resolutions=(96, 128, 160, 192, 224)):
    size = rng.choice(resolutions)
    return torch.zeros(1, 3, size, size), {"resolution": size}


def stem(outputs, rng, act=nn.ReLU):
    if rng.random() < 0.5:
        return nn.Sequential(conv(3, outputs, 7, 2, act=act), nn.MaxPool2d(3, 2, 1))
    return nn.Sequential(conv(3, outputs, 3, 2, act=act), conv(outputs, outputs, 3, 2, act=act))


def residual_stages(rng, block, widths, depths, first):
    layers, inputs = [first], widths[0]
    for stage, (width, depth) in enumerate(zip(widths, depths)):
        for number in range(depth):
            stride = 2 if number == 0 and stage > 0 else 1
            layers.append(block(inputs, width, stride))
            inputs = width
    return nn.Sequential(*layers, classifier(inputs))


def resnet(rng):
    x, drawn = image(rng)
    width, kernel = rng.choice([32, 48, 64, 80]), rng.choice([3, 3, 5])
    bottleneck, depths = rng.random() < 0.5, [rng.randint(1, 4) for _ in range(4)]
    widths = [width * 2**stage for stage in range(4)]

    def block(inputs, outputs, stride):
        if bottleneck:
            hidden = outputs // 2
            body = [conv(inputs, hidden, 1), conv(hidden, hidden, kernel, stride), conv(hidden, outputs, 1, act=None)]
        else:
            body = [conv(inputs, outputs, kernel, stride), conv(outputs, outputs, kernel, act=None)]
        return Residual(nn.Sequential(*body), inputs, outputs, stride, nn.ReLU)

    drawn |= {"width": width, "kernel": kernel, "bottleneck": bottleneck, "depths": depths}
    return residual_stages(rng, block, widths, depths, stem(width, rng)), x, drawn


def resnext(rng):
    x, drawn = image(rng)
    groups, each = rng.choice([4, 8, 16, 32]), rng.choice([2, 4, 8])
    depths = [rng.randint(1, 4) for _ in range(4)]
    hidden = [groups * each * 2**stage for stage in range(4)]
    widths = [2 * h for h in hidden]

    def block(inputs, outputs, stride):
        h = outputs // 2
        body = [conv(inputs, h, 1), conv(h, h, 3, stride, groups), conv(h, outputs, 1, act=None)]
        return Residual(nn.Sequential(*body), inputs, outputs, stride, nn.ReLU)

    drawn |= {"groups": groups, "each": each, "depths": depths}
    return residual_stages(rng, block, widths, depths, stem(widths[0], rng)), x, drawn


def regnet(rng):
    x, drawn = image(rng)
    group, depths = rng.choice([8, 16, 24, 32]), [rng.randint(1, 4), rng.randint(1, 5), rng.randint(2, 7), rng.randint(1, 3)]
    width, growth, excite = rng.randint(1, 4), rng.choice([1.5, 1.8, 2.2, 2.6]), rng.random() < 0.5
    widths = [group * max(1, round(width * growth**stage)) for stage in range(4)]

    def block(inputs, outputs, stride):
        body = [conv(inputs, outputs, 1), conv(outputs, outputs, 3, stride, outputs // group)]
        body += [SqueezeExcite(outputs, max(8, inputs // 4))] if excite else []
        return Residual(nn.Sequential(*body, conv(outputs, outputs, 1, act=None)), inputs, outputs, stride, nn.ReLU)

    drawn |= {"group": group, "widths": widths, "depths": depths, "excite": excite}
    return residual_stages(rng, block, widths, depths, conv(3, widths[0], 3, 2)), x, drawn


class Inverted(nn.Module):
    def __init__(self, inputs, outputs, stride, kernel, expand, act, excite=None):
        super().__init__()
        hidden = inputs * expand
        body = [conv(inputs, hidden, 1, act=act)] if expand > 1 else []
        body += [conv(hidden, hidden, kernel, stride, hidden, act=act)] + ([excite(hidden)] if excite else [])
        self.body = nn.Sequential(*body, conv(hidden, outputs, 1, act=None))
        self.adds = inputs == outputs and stride == 1

    def forward(self, x):
        return x + self.body(x) if self.adds else self.body(x)


def inverted_stages(rng, act_of, excite_of, last):
    scale, kernels = rng.choice([0.5, 0.75, 1.0, 1.25, 1.5]), [rng.choice([3, 5, 7]) for _ in range(6)]
    depths, expands = [rng.randint(1, 4) for _ in range(6)], [rng.choice([3, 4, 6]) for _ in range(6)]
    widths = [max(8, int(w * scale * rng.uniform(0.8, 1.25)) // 8 * 8) for w in (24, 32, 64, 96, 160, 224)]
    first = max(8, int(24 * scale) // 8 * 8)
    layers, inputs = [conv(3, first, 3, 2, act=act_of(0))], first
    for stage, width in enumerate(widths):
        for number in range(depths[stage]):
            stride = 2 if number == 0 and stage in (0, 1, 2, 4) else 1
            excite = excite_of(stage)
            layers.append(Inverted(inputs, width, stride, kernels[stage], expands[stage], act_of(stage), excite))
            inputs = width
    layers += [conv(inputs, last, 1, act=act_of(5)), classifier(last)]
    return nn.Sequential(*layers), {"scale": scale, "kernels": kernels, "depths": depths, "expands": expands}


def mobilenetv2(rng):
    x, drawn = image(rng)
    net, more = inverted_stages(rng, lambda _: nn.ReLU6, lambda _: None, 1280)
    return net, x, drawn | more


def mobilenetv3(rng):
    x, drawn = image(rng)
    excited = [rng.random() < 0.5 for _ in range(6)]
    act = lambda stage: nn.Hardswish if stage >= 2 else nn.ReLU
    gate = lambda channels: SqueezeExcite(channels, max(8, channels // 4), nn.Hardsigmoid)
    net, more = inverted_stages(rng, act, lambda stage: gate if excited[stage] else None, 960)
    return net, x, drawn | more | {"excited": excited}


def efficientnet(rng):
    x, drawn = image(rng)
    gate = lambda channels: SqueezeExcite(channels, max(4, channels // 24), nn.Sigmoid, nn.SiLU)
    net, more = inverted_stages(rng, lambda _: nn.SiLU, lambda _: gate, 1280)
    return net, x, drawn | more


class Shuffle(nn.Module):
    def __init__(self, inputs, outputs, stride, kernel):
        super().__init__()
        half, self.stride = outputs // 2, stride
        taken = inputs if stride > 1 else half
        self.right = nn.Sequential(
            conv(taken, half, 1), conv(half, half, kernel, stride, half, act=None), conv(half, half, 1)
        )
        self.left = nn.Sequential(conv(inputs, inputs, kernel, stride, inputs, act=None), conv(inputs, half, 1))
        if stride == 1:
            self.left = nn.Identity()

    def forward(self, x):
        left, right = x.chunk(2, 1) if self.stride == 1 else (x, x)
        x = torch.cat([self.left(left), self.right(right)], 1)
        n, c, h, w = x.shape
        return x.reshape(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


def shufflenetv2(rng):
    x, drawn = image(rng)
    width, kernel = rng.choice([48, 88, 116, 176, 244]), rng.choice([3, 3, 5])
    depths = [rng.randint(2, 5), rng.randint(3, 9), rng.randint(2, 5)]
    layers, inputs = [conv(3, 24, 3, 2), nn.MaxPool2d(3, 2, 1)], 24
    for stage, depth in enumerate(depths):
        for number in range(depth):
            layers.append(Shuffle(inputs, width * 2**stage, 2 if number == 0 else 1, kernel))
            inputs = width * 2**stage
    last = rng.choice([512, 1024])
    return nn.Sequential(*layers, conv(inputs, last, 1), classifier(last)), x, drawn | {
        "width": width, "kernel": kernel, "depths": depths}  # fmt: skip


class Dense(nn.Module):
    def __init__(self, inputs, growth, wide):
        super().__init__()
        act = lambda n: nn.Sequential(nn.BatchNorm2d(n), nn.ReLU())
        self.body = nn.Sequential(
            act(inputs), nn.Conv2d(inputs, wide * growth, 1, bias=False),
            act(wide * growth), nn.Conv2d(wide * growth, growth, 3, padding=1, bias=False),
        )  # fmt: skip

    def forward(self, x):
        return torch.cat([x, self.body(x)], 1)


def densenet(rng):
    x, drawn = image(rng, (96, 128, 160, 192))
    growth, wide = rng.choice([12, 16, 24, 32]), rng.choice([2, 4])
    depths = [rng.randint(2, 6), rng.randint(3, 10), rng.randint(4, 16), rng.randint(3, 12)]
    layers, channels = [conv(3, 2 * growth, 7, 2), nn.MaxPool2d(3, 2, 1)], 2 * growth
    for stage, depth in enumerate(depths):
        for _ in range(depth):
            layers.append(Dense(channels, growth, wide))
            channels += growth
        if stage < 3:
            layers += [nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2)]
            channels //= 2
    return nn.Sequential(*layers, nn.BatchNorm2d(channels), nn.ReLU(), classifier(channels)), x, drawn | {
        "growth": growth, "wide": wide, "depths": depths}  # fmt: skip


class ChannelNorm(nn.Module):
    """Layer norm over the channels of an image."""

    def __init__(self, channels):
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x):
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNext(nn.Module):
    def __init__(self, channels, kernel, expand):
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.norm, self.scale = nn.LayerNorm(channels), nn.Parameter(torch.ones(channels))
        self.mlp = nn.Sequential(
            nn.Linear(channels, expand * channels), nn.GELU(), nn.Linear(expand * channels, channels)
        )

    def forward(self, x):
        y = self.depthwise(x).permute(0, 2, 3, 1)
        return x + (self.mlp(self.norm(y)) * self.scale).permute(0, 3, 1, 2)


def convnext(rng):
    x, drawn = image(rng)
    width, kernel, expand = rng.choice([24, 32, 48, 64, 80]), rng.choice([5, 7, 7]), rng.choice([2, 3, 4])
    depths = [rng.randint(1, 3), rng.randint(1, 3), rng.randint(2, 6), rng.randint(1, 3)]
    layers = [nn.Conv2d(3, width, 4, 4), ChannelNorm(width)]
    for stage, depth in enumerate(depths):
        channels = width * 2**stage
        if stage:
            layers += [ChannelNorm(channels // 2), nn.Conv2d(channels // 2, channels, 2, 2)]
        layers += [ConvNext(channels, kernel, expand) for _ in range(depth)]
    return nn.Sequential(*layers, classifier(channels)), x, drawn | {
        "width": width, "kernel": kernel, "expand": expand, "depths": depths}  # fmt: skip


class Attention(nn.Module):
    def __init__(self, dim, heads, causal=False):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.out(y.transpose(1, 2).reshape(n, t, d))


class Transformer(nn.Module):
    def __init__(self, dim, heads, ratio, causal=False):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = Attention(dim, heads, causal)
        self.mlp = nn.Sequential(nn.Linear(dim, int(ratio * dim)), nn.GELU(), nn.Linear(int(ratio * dim), dim))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Vit(nn.Module):
    def __init__(self, size, patch, dim, heads, ratios):
        super().__init__()
        self.patch = nn.Conv2d(3, dim, patch, patch)
        self.token = nn.Parameter(torch.zeros(1, 1, dim))
        self.position = nn.Parameter(torch.zeros(1, (size // patch) ** 2 + 1, dim))
        self.blocks = nn.Sequential(*(Transformer(dim, h, r) for h, r in zip(heads, ratios)), nn.LayerNorm(dim))
        self.head = nn.Linear(dim, 1000)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token, x], 1) + self.position
        return self.head(self.blocks(x)[:, 0])


def vit(rng):
    x, drawn = image(rng, (96, 128, 160, 192, 224))
    patch, each, depth = rng.choice([16, 16, 32]), rng.choice([32, 64]), rng.randint(3, 12)
    width = rng.choice([3, 4, 5, 6]) * 64
    heads, ratios = [width // each] * depth, [rng.choice([2, 3, 4]) for _ in range(depth)]
    drawn |= {"patch": patch, "dim": width, "each": each, "ratios": ratios}
    return Vit(x.shape[-1], patch, width, heads, ratios), x, drawn


class Swin(nn.Module):
    def __init__(self, dim, heads, window, shift, ratio):
        super().__init__()
        self.block, self.window, self.shift = Transformer(dim, heads, ratio), window, shift

    def forward(self, x):
        n, h, w, c = x.shape
        m = self.window
        y = torch.roll(x, (-self.shift, -self.shift), (1, 2)) if self.shift else x
        y = y.reshape(n, h // m, m, w // m, m, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, m * m, c)
        y = self.block(y).reshape(n, h // m, w // m, m, m, c).permute(0, 1, 3, 2, 4, 5).reshape(n, h, w, c)
        return torch.roll(y, (self.shift, self.shift), (1, 2)) if self.shift else y


class Merge(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm, self.down = nn.LayerNorm(4 * dim), nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x):
        parts = [x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]
        return self.down(self.norm(torch.cat(parts, -1)))


class Swins(nn.Module):
    def __init__(self, dim, depths, window, ratio):
        super().__init__()
        self.patch, layers = nn.Conv2d(3, dim, 4, 4), []
        for stage, depth in enumerate(depths):
            width = dim * 2**stage
            layers += [Merge(width // 2)] if stage else []
            layers += [Swin(width, width // 16, window, window // 2 * (i % 2), ratio) for i in range(depth)]
        self.blocks, self.head = nn.Sequential(*layers, nn.LayerNorm(width)), nn.Linear(width, 1000)

    def forward(self, x):
        return self.head(self.blocks(self.patch(x).permute(0, 2, 3, 1)).mean((1, 2)))


def swin(rng):
    window = rng.choice([4, 7])
    size = 4 * 4 * window * rng.choice([1, 2] if window == 7 else [2, 3])
    dim, ratio, depths = rng.choice([32, 48, 64]), rng.choice([2, 4]), [rng.randint(1, 4) for _ in range(3)]
    return Swins(dim, depths, window, ratio), torch.zeros(1, 3, size, size), {
        "resolution": size, "window": window, "dim": dim, "ratio": ratio, "depths": depths}  # fmt: skip


class Gpt(nn.Module):
    def __init__(self, vocabulary, length, dim, heads, ratios):
        super().__init__()
        self.token, self.position = nn.Embedding(vocabulary, dim), nn.Embedding(length, dim)
        self.register_buffer("places", torch.arange(length))
        blocks = (Transformer(dim, h, r, causal=True) for h, r in zip(heads, ratios))
        self.blocks = nn.Sequential(*blocks, nn.LayerNorm(dim))
        self.head = nn.Linear(dim, vocabulary, bias=False)

    def forward(self, tokens):
        return self.head(self.blocks(self.token(tokens) + self.position(self.places))[:, -1:])


def gpt(rng):
    length, dim, depth = rng.choice([32, 64, 128, 192]), rng.choice([128, 192, 256, 384, 512]), rng.randint(2, 10)
    heads, ratios = [rng.choice([4, 8]) for _ in range(depth)], [rng.choice([2, 3, 4]) for _ in range(depth)]
    drawn = {"length": length, "dim": dim, "heads": heads, "ratios": ratios}
    return Gpt(8000, length, dim, heads, ratios), torch.zeros(1, length, dtype=torch.long), drawn


class Audio(nn.Module):
    def __init__(self, inputs, outputs, kernel, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm1d(outputs), nn.ReLU(),
            nn.Conv1d(outputs, outputs, kernel, padding=kernel // 2, bias=False), nn.BatchNorm1d(outputs),
        )  # fmt: skip
        self.shortcut = nn.Conv1d(inputs, outputs, 1, stride)

    def forward(self, x):
        return F.relu(self.body(x) + self.shortcut(x))


def audio(rng):
    length, width, kernel = rng.choice([4000, 8000, 16000]), rng.choice([24, 32, 48, 64]), rng.choice([3, 5, 9])
    depths = [rng.randint(1, 3) for _ in range(4)]
    layers = [nn.Conv1d(1, width, 80, 4, 38), nn.BatchNorm1d(width), nn.ReLU(), nn.MaxPool1d(4)]
    inputs = width
    for stage, depth in enumerate(depths):
        for number in range(depth):
            outputs = width * 2**stage
            layers.append(Audio(inputs, outputs, kernel, 2 if number == 0 else 1))
            inputs = outputs
    layers += [nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(inputs, 35)]
    drawn = {"length": length, "width": width, "kernel": kernel, "depths": depths}
    return nn.Sequential(*layers), torch.zeros(1, 1, length), drawn


class Unet(nn.Module):
    def __init__(self, width, depth, act):
        super().__init__()
        widths = [width * 2**level for level in range(depth)]
        twice = lambda i, o: nn.Sequential(conv(i, o, act=act), conv(o, o, act=act))
        self.down = nn.ModuleList(twice(i, o) for i, o in zip([3] + widths, widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(o, i, 2, 2) for i, o in zip(widths, widths[1:]))
        self.join = nn.ModuleList(twice(2 * i, i) for i in widths[:-1])
        self.head = nn.Conv2d(width, 21, 1)

    def forward(self, x):
        skips = []
        for number, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if number else x)
            skips.append(x)
        for level in reversed(range(len(self.up))):
            x = self.join[level](torch.cat([self.up[level](x), skips[level]], 1))
        return self.head(x)


def unet(rng):
    x, drawn = image(rng, (64, 96, 128))
    width, depth, act = rng.choice([8, 12, 16, 24, 32]), rng.randint(3, 5), rng.choice([nn.ReLU, nn.SiLU])
    return Unet(width, depth, act), x, drawn | {"width": width, "depth": depth, "act": act.__name__}


FAMILIES = (resnet, resnext, regnet, mobilenetv2, mobilenetv3, efficientnet, shufflenetv2, densenet, convnext, vit, swin, gpt, audio, unet)  # fmt: skip


def draw(family, rng):
    by_name = {f.__name__: f for f in FAMILIES}
    net, x, drawn = by_name[family](rng)
    return net.eval(), x, drawn

"""Checks the ONNX reader on architectures of torchvision, timm and transformers.

    pip install torch torchvision timm transformers onnx onnxscript
    python crates/lanner-network/tests/zoo.py make FOLDER [--only NAME ...] [--way script|dynamo]
    python crates/lanner-network/tests/zoo.py check FOLDER

`make` exports each architecture with random weights by both exporters of PyTorch, opsets 13 to 23 in
turn, strips the weights, and writes the floating-point operations that `torch.utils.flop_counter` counts
to FOLDER/flops.json. `check` has Lanner read the files: its products must be within 1 % of those, two
operations each. Attention is counted as its two products, as Lanner counts it.
"""

import argparse
import json
import subprocess
import sys
import time
import warnings
from pathlib import Path

TOLERANCE = 0.01

TORCHVISION = """alexnet vgg11_bn resnet18 resnet50 resnext50_32x4d wide_resnet50_2 regnet_y_400mf
regnet_x_800mf densenet121 mobilenet_v2 mobilenet_v3_small mobilenet_v3_large shufflenet_v2_x1_0
squeezenet1_1 mnasnet1_0 efficientnet_b0 efficientnet_v2_s convnext_tiny googlenet inception_v3 vit_b_32
swin_t swin_v2_t maxvit_t""".split()
SEGMENTATION = ["fcn_resnet50", "deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large"]
VIDEO = ["r3d_18", "mc3_18", "s3d", "mvit_v2_s"]
TIMM = """deit_tiny_patch16_224 cait_xxs24_224 coat_tiny crossvit_tiny_240 levit_128s pit_ti_224
poolformer_s12 mixer_s32_224 resmlp_12_224 gmlp_s16_224 convmixer_768_32 efficientformer_l1 edgenext_xx_small
mobilevit_xxs mobilevitv2_050 mobileone_s0 fastvit_t8 ghostnet_100 hrnet_w18_small res2net50_26w_4s
resnest14d xception41 tinynet_e lcnet_050 repvgg_a0 dla34 dpn68 selecsls42b hardcorenas_a volo_d1_224
twins_pcpvt_small pvt_v2_b0 focalnet_tiny_srf davit_tiny eca_nfnet_l0 tf_efficientnet_lite0
mobilenetv4_conv_small rdnet_tiny starnet_s1 beit_base_patch16_224 xcit_nano_12_p16_224 maxvit_rmlp_pico_rw_256
nest_tiny convit_tiny vit_tiny_r_s16_p8_224 cspresnet50 skresnet18 botnet26t_256 visformer_tiny""".split()
# transformers: the configuration's class and changes that keep the export short.
LANGUAGE = {
    "gpt2": ("GPT2", dict(n_layer=4)),
    "gpt-neox": ("GPTNeoX", dict(num_hidden_layers=2, hidden_size=512, intermediate_size=2048, num_attention_heads=8)),
    "opt": ("OPT", dict(num_hidden_layers=2, hidden_size=512, ffn_dim=2048, num_attention_heads=8, word_embed_proj_dim=512)),
    "llama": ("Llama", dict(num_hidden_layers=2, hidden_size=512, intermediate_size=1376, num_attention_heads=8, num_key_value_heads=2)),
    "qwen2": ("Qwen2", dict(num_hidden_layers=2, hidden_size=512, intermediate_size=1376, num_attention_heads=8, num_key_value_heads=2)),
    "gemma": ("Gemma", dict(num_hidden_layers=2, hidden_size=512, intermediate_size=1376, num_attention_heads=8, num_key_value_heads=1, head_dim=64)),
    "bert": ("Bert", dict(num_hidden_layers=4)),
    "roberta": ("Roberta", dict(num_hidden_layers=4)),
    "distilbert": ("DistilBert", dict(n_layers=4)),
    "electra": ("Electra", dict(num_hidden_layers=4)),
    "mobilebert": ("MobileBert", dict(num_hidden_layers=4)),
    "mpnet": ("MPNet", dict(num_hidden_layers=2)),
    "wav2vec2": ("Wav2Vec2", dict(num_hidden_layers=2)),
    "whisper-encoder": ("Whisper", dict(encoder_layers=2, decoder_layers=2)),
    "segformer": ("Segformer", {}),
    "mobilevit": ("MobileViT", {}),
    "dinov2": ("Dinov2", dict(num_hidden_layers=4)),
}


def models():
    """Name, module and inputs of each architecture."""
    import torch

    def image(side=224):
        return (torch.randn(1, 3, side, side),)

    def torchvision(name):
        from torchvision.models import get_model

        side = {"inception_v3": 299}.get(name, 224)
        extra = dict(init_weights=False) if name in ("googlenet", "inception_v3") else {}
        return get_model(name, weights=None, **extra), image(side)

    def segmentation(name):
        from torchvision.models import get_model

        class Out(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.net = get_model(name, weights=None, weights_backbone=None)

            def forward(self, x):
                return self.net(x)["out"]

        return Out(), image(128)

    def video(name):
        from torchvision.models import get_model

        frames = 16 if name == "mvit_v2_s" else 8
        side = 224 if name in ("mvit_v2_s", "s3d") else 112
        if name == "s3d":
            frames = 14
        return get_model(name, weights=None), (torch.randn(1, 3, frames, side, side),)

    def timm(name):
        import timm

        net = timm.create_model(name, pretrained=False, exportable=True)
        return net, image(net.default_cfg["input_size"][-1])

    def language(name):
        import transformers

        kind, changes = LANGUAGE[name]
        config = getattr(transformers, kind + "Config")(**changes)
        config.use_cache, config.return_dict = False, False
        config._attn_implementation = "eager" if name in ("mpnet", "mobilebert") else "sdpa"
        net = getattr(transformers, kind + "Model")(config)
        if name == "whisper-encoder":
            return net.encoder, (torch.randn(1, 80, 3000),)
        if name == "wav2vec2":
            return net, (torch.randn(1, 16000),)
        if name in ("segformer", "dinov2", "mobilevit"):
            return net, image({"mobilevit": 256}.get(name, 224))

        class First(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.net = net

            def forward(self, ids):
                return self.net(ids, return_dict=False)[0]

        return First(), (torch.randint(0, 1000, (1, 64)),)

    groups = [(torchvision, TORCHVISION), (segmentation, SEGMENTATION), (video, VIDEO), (timm, TIMM), (language, LANGUAGE)]
    for make, names in groups:
        for name in names:
            yield name, (lambda make=make, name=name: make(name))


def products(net, inputs):
    """Floating-point operations of the products."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    # A fused layer of the encoder would hide its products from the counter.
    torch.backends.mha.set_fastpath_enabled(False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        net(*inputs)
    return counter.get_total_flops()


def strip(path):
    """Removes the numbers of large weights."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        if len(tensor.raw_data) > 512 or len(tensor.float_data) > 128 or tensor.external_data:
            for field in ("raw_data", "float_data", "external_data"):
                tensor.ClearField(field)
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="weights.bin")
    del model.graph.value_info[:]
    for node in model.graph.node:
        node.ClearField("doc_string")
        node.ClearField("metadata_props")
    path.write_bytes(model.SerializeToString())


def make(folder, only, ways):
    import torch

    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "flops.json"
    known = json.loads(table.read_text()) if table.exists() else {}
    # The older exporter takes seconds, the other one up to minutes: it comes last.
    for way in ways:
        for number, (name, build) in enumerate(models()):
            path = folder / f"{name}.{way}.onnx"
            if (only and name not in only) or path.exists():
                continue
            torch.manual_seed(0)
            try:
                net, inputs = build()
                net = net.eval()
                if name not in known:
                    known[name] = products(net, inputs)
                    table.write_text(json.dumps(known, indent=1))
            except Exception as error:
                print(f"{name}: not built: {str(error)[:300]}", flush=True)
                continue
            export(net, inputs, path, way, number)


def export(net, inputs, path, way, number):
    import torch

    start = time.time()
    opset = (18 + number % 6) if way == "dynamo" else (13 + number % 6)
    try:
        with torch.no_grad():
            if way == "dynamo":
                torch.onnx.export(net, inputs, path, dynamo=True, opset_version=opset, external_data=True, verbose=False)
                path.with_suffix(".onnx.data").unlink(missing_ok=True)
            else:
                torch.onnx.export(net, inputs, path, dynamo=False, opset_version=opset, do_constant_folding=True)
        strip(path)
        print(f"{path.name}: opset {opset}, {time.time() - start:.0f} s, {path.stat().st_size} bytes", flush=True)
    except Exception as error:
        path.unlink(missing_ok=True)
        path.with_suffix(".onnx.data").unlink(missing_ok=True)
        print(f"{path.name}: not exported: {str(error)[:200]!r}", flush=True)


def check(folder):
    flops = json.loads((folder / "flops.json").read_text())
    files = sorted(folder.glob("*.onnx"))
    command = ["cargo", "run", "--release", "-q", "-p", "lanner-network", "--example", "read_onnx", "--"]
    lines = subprocess.run(command + files, capture_output=True, text=True, check=True).stdout.splitlines()
    read, close, names = 0, 0, set()
    for line in map(json.loads, lines):
        path = Path(line["file"])
        name = path.name.rsplit(".", 2)[0]
        if name not in flops:
            continue
        if "error" in line:
            print(f"{path.name}: {line['error']}")
            continue
        read += 1
        names.add(name)
        cost = line["cost"]
        ratio = 2 * cost["products"] / flops[name]
        good = abs(ratio - 1) <= TOLERANCE
        close += good
        if not good or cost["unknown"]:
            print(f"{path.name}: {2 * cost['products'] / 1e9:.4f} GFLOPs, PyTorch {flops[name] / 1e9:.4f} ({ratio:.4f}) {cost['unknown']}")
    print(f"{read} of {len(files)} files read ({len(names)} architectures), {close} within {TOLERANCE:.0%}")
    return read == len(files)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["make", "check"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--way", nargs="*", default=["script", "dynamo"], choices=["script", "dynamo"])
    args = parser.parse_args()
    if args.what == "make":
        make(args.folder, args.only, args.way)
    else:
        sys.exit(0 if check(args.folder) else 1)

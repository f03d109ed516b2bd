"""Small models whose layers have their samples, neurons and positions in all kinds of axes."""

import torch
from torch import nn

from neuronym.network.batches import batches, feed
from neuronym.network.hooks import capture_outputs, eval_mode, only_output


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def whole(model, data, layer):
    """The output of a layer for all samples in one batch."""
    (batch,) = batches(data, len(data))
    with eval_mode(model), capture_outputs(model, [layer]) as caught, torch.no_grad():
        feed(model, batch.inputs)
    return only_output(layer, caught)


def seeded(make):
    torch.manual_seed(0)
    return make().eval()


class Signal(nn.Module):
    """A network for signals; the activation function is no neighbour of the convolution in a Sequential."""

    def __init__(self):
        super().__init__()
        self.act, self.conv, self.fc = nn.ReLU(), nn.Conv1d(1, 2, 3), nn.Linear(2, 3)

    def forward(self, x):
        return self.fc(self.act(self.conv(x)).mean(2))


class PermutedBlock(nn.Module):
    """A block as ConvNeXt's, on maps of as many rows, columns and channels."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.LayerNorm(4), nn.Linear(4, 4)
        self.act, self.back = nn.GELU(), nn.Identity()

    def forward(self, x):
        y = self.act(self.fc(self.norm(self.conv(x).permute(0, 2, 3, 1))))
        return self.back(x + y.permute(0, 3, 1, 2)).mean((2, 3))


class Heads(nn.Module):
    """Attention whose heads are seen through points as those of TransformerLens."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(12, 12) for _ in range(4))
        self.hook_q, self.hook_pattern, self.hook_z = (nn.Identity() for _ in range(3))

    def forward(self, x):
        q, k, v = (part(x).view(len(x), -1, 3, 4) for part in (self.q, self.k, self.v))
        pattern = self.hook_pattern(torch.einsum("bqhd,bkhd->bhqk", self.hook_q(q), k).softmax(-1))
        return self.o(self.hook_z(torch.einsum("bhqk,bkhd->bqhd", pattern, v)).flatten(2)).mean(1)


class Twisted(nn.Module):
    """A sum of two maps, of which one has its neurons in the axis after the samples and one in the last."""

    def __init__(self):
        super().__init__()
        self.one, self.other, self.twist = nn.Conv1d(5, 5, 1), nn.Linear(5, 5), nn.Identity()

    def forward(self, x):
        return self.twist(self.one(x) + self.other(x))


class Frames(nn.Module):
    """Frames of a signal, of which there are fewer than values, as in wav2vec."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.fe, self.enc = nn.Conv1d(1, 4, 4, stride=4), nn.Linear(4, 3)

    def forward(self, input_values, attention_mask=None):
        return self.enc(self.fe(input_values[:, None]).transpose(1, 2))


class Recurrent(nn.Module):
    """Recurrent layers and attention, with the samples or time first."""

    def __init__(self, batch_first):
        super().__init__()
        self.batch_first = batch_first
        self.lstm, self.gru = nn.LSTM(3, 4, batch_first=batch_first), nn.GRU(4, 6, batch_first=batch_first)
        self.act, self.attention = nn.Tanh(), nn.MultiheadAttention(6, 2, batch_first=batch_first)
        self.block = nn.TransformerEncoderLayer(6, 2, 8, batch_first=batch_first)
        self.fc = nn.Linear(6, 5)

    def forward(self, x):
        x = x if self.batch_first else x.transpose(0, 1)
        x = self.act(self.gru(self.lstm(x)[0])[0])
        x = self.fc(self.block(self.attention(x, x, x)[0]))
        return x.mean(1 if self.batch_first else 0)


def texts():
    """Texts of various lengths, as the numbers of their tokens."""
    generator = torch.Generator().manual_seed(2)
    return [torch.randint(5, 50, (n,), generator=generator) for n in (5, 8, 3, 6, 8, 2, 7)]


def padded(ids, side):
    """A batch of texts, padded on one side."""
    longest = max(map(len, ids))
    places = [(longest - len(one), 0) if side == "left" else (0, longest - len(one)) for one in ids]
    values = [nn.functional.pad(one, place) for one, place in zip(ids, places, strict=True)]
    masks = [nn.functional.pad(torch.ones_like(one), place) for one, place in zip(ids, places, strict=True)]
    return {"input_ids": torch.stack(values), "attention_mask": torch.stack(masks)}


class Tokens(torch.utils.data.Dataset):
    """Texts of one length, which is the width of the models too."""

    def __len__(self):
        return 12

    def __getitem__(self, place):
        ids = torch.randint(5, 50, (8,), generator=torch.Generator().manual_seed(place))
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


SMALL = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 12, "hidden_size": 8}


def convnext():
    from transformers import ConvNextConfig, ConvNextModel

    config = ConvNextConfig(image_size=32, hidden_sizes=[4, 8], depths=[1, 1], num_stages=2)
    layer = "encoder.stages.0.layers.0"
    wanted = {f"{layer}.{name}": ("BHWC", n) for name, n in {"layernorm": 4, "pwconv1": 16, "act": 16}.items()}
    wanted |= {"embeddings.layernorm": ("BCHW", 4), layer: ("BCHW", 4), "encoder.stages.1": ("BCHW", 8)}
    return seeded(lambda: ConvNextModel(config)), noise(7, 3, 32, 32), wanted


def swin():
    from transformers import SwinConfig, SwinModel

    config = SwinConfig(image_size=32, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=4)
    wanted = {"embeddings": ("BTC", 8), "encoder.layers.0.blocks.0": ("BTC", 8), "encoder.layers.0": ("BTC", 16)}
    wanted |= {"embeddings.patch_embeddings.projection": ("BCHW", 8), "encoder": ("BTC", 16), "layernorm": ("BTC", 16)}
    return seeded(lambda: SwinModel(config)), noise(7, 3, 32, 32), wanted


def vit():
    from transformers import ViTConfig, ViTModel

    model = seeded(lambda: ViTModel(ViTConfig(image_size=16, patch_size=4, **SMALL)))
    wanted = {"embeddings.patch_embeddings.projection": ("BCHW", 8), "embeddings.patch_embeddings": ("BTC", 8)}
    return model, noise(7, 3, 16, 16), wanted | {"embeddings": ("BTC", 8), "layers.0": ("BTC", 8)}


def clip():
    from transformers import CLIPVisionConfig, CLIPVisionModel

    model = seeded(lambda: CLIPVisionModel(CLIPVisionConfig(image_size=16, patch_size=4, **SMALL)))
    names = {name.rpartition(".encoder")[0] for name, _ in model.named_modules() if name.endswith("encoder.layers.0")}
    above = next(iter(names)) + "." if next(iter(names)) else ""
    wanted = {f"{above}{name}": ("BTC", 8) for name in ("embeddings", "encoder.layers.0", "encoder.layers.0.self_attn")}
    return model, noise(7, 3, 16, 16), wanted | {f"{above}embeddings.patch_embedding": ("BCHW", 8)}


def bert():
    from transformers import BertConfig, BertModel

    layer = "encoder.layer.0"
    wanted = dict.fromkeys(("embeddings", layer, f"{layer}.attention.self", f"{layer}.output"), ("BTC", 8))
    wanted |= {f"{layer}.intermediate.intermediate_act_fn": ("BTC", 12)}
    return seeded(lambda: BertModel(BertConfig(vocab_size=50, **SMALL))), Tokens(), wanted


def gpt2():
    from transformers import GPT2Config, GPT2Model

    config = GPT2Config(vocab_size=50, n_embd=8, n_layer=1, n_head=2, n_positions=16, bos_token_id=1, eos_token_id=1)
    wanted = {"drop": ("BTC", 8), "h.0.attn.c_attn": ("BTC", 24), "h.0.mlp.act": ("BTC", 32), "h.0": ("BTC", 8)}
    return seeded(lambda: GPT2Model(config)), Tokens(), wanted


def t5():
    from transformers import T5Config, T5EncoderModel

    config = T5Config(vocab_size=50, d_model=8, d_kv=4, d_ff=12, num_layers=1, num_heads=2)
    block = "encoder.block.0"
    wanted = dict.fromkeys((block, f"{block}.layer.0", f"{block}.layer.0.layer_norm", "encoder"), ("BTC", 8))
    return (
        seeded(lambda: T5EncoderModel(config)),
        Tokens(),
        wanted | {f"{block}.layer.1.DenseReluDense.act": ("BTC", 12)},
    )


def recurrent(batch_first):
    axes = "BTC" if batch_first else "TBC"
    wanted = {"lstm": 4, "gru": 6, "act": 6, "attention": 6, "block": 6, "fc": 5}
    data = noise(6, 6, 3)  # as many samples as times
    return seeded(lambda: Recurrent(batch_first)), data, {layer: (axes, n) for layer, n in wanted.items()}


def heads():
    wanted = {"q": ("BTC", 12), "hook_q": ("BTHD", 12), "hook_pattern": ("BCHW", 3), "hook_z": ("BTHD", 12)}
    return seeded(Heads), noise(9, 7, 12), wanted


#: A model, its data, and the axes and the number of neurons of some of its layers.
MODELS = {
    "signal": lambda: (seeded(Signal), noise(12, 1, 9), {"conv": ("BCT", 2), "act": ("BCT", 2), "fc": ("BC", 3)}),
    "permuted": lambda: (
        seeded(PermutedBlock),
        noise(4, 4, 4, 4),
        {"conv": ("BCHW", 4), "norm": ("BHWC", 4), "fc": ("BHWC", 4), "act": ("BHWC", 4), "back": ("BCHW", 4)},
    ),
    "heads": heads,
    "batch_first": lambda: recurrent(True),
    "time_first": lambda: recurrent(False),
    "convnext": convnext,
    "swin": swin,
    "vit": vit,
    "clip": clip,
    "bert": bert,
    "gpt2": gpt2,
    "t5": t5,
}

"""A small network for the tests of circuits."""

import numpy as np
import torch

from neuronym import Concepts

N = 40


class Net(torch.nn.Module):
    """A small network with a branch that the logits do not depend on."""

    def __init__(self, inplace=False):
        super().__init__()
        torch.manual_seed(0)
        self.low = torch.nn.Conv2d(3, 12, 3)
        self.act = torch.nn.ReLU(inplace=inplace)
        self.high = torch.nn.Conv2d(12, 16, 3)
        self.relu = torch.nn.ReLU(inplace=inplace)
        self.pool = torch.nn.AdaptiveAvgPool2d(1)
        self.fc = torch.nn.Linear(16, 5)
        self.aside = torch.nn.Conv2d(12, 4, 1)
        self.last = torch.nn.Linear(5, 5)

    def forward(self, x):
        x = self.act(self.low(x))
        self.aside(x)
        return self.last(self.fc(self.pool(self.relu(self.high(x))).flatten(1)))


LAYERS = ["low", "act", "high", "relu", "pool", "fc", "aside", "last"]


DATA = torch.randn(N, 3, 9, 9, generator=torch.Generator().manual_seed(1))


SHOWN = Concepts.from_array(np.random.default_rng(0).random((N, 3)) < 0.4, ["dog", "cat", "grass"])


def values_of(observed, layer):
    return np.asarray(observed.layers[layer].matrix, np.float64)


class Texts(torch.utils.data.Dataset):
    """Dicts of arguments, as for a transformer."""

    def __init__(self, n):
        self.ids = torch.randint(5, 50, (n, 6), generator=torch.Generator().manual_seed(0))

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, place):
        return {"input_ids": self.ids[place], "attention_mask": torch.ones(6, dtype=torch.int64)}


class Padded(Texts):
    def __getitem__(self, place):
        return {"input_ids": self.ids[place], "attention_mask": (torch.arange(6) < 2 + place % 5).long()}


def bert():
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(vocab_size=60, hidden_size=12, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16)
    return BertModel(config).eval()

"""What do words mean: all-MiniLM-L6-v2, a small sentence encoder, and T5 v1.1 XL, a large reader; both frozen.

MiniLM is a BERT of six layers (Wang et al. 2020, arXiv 2002.10957) tuned for sentence similarity (Reimers & Gurevych
2019, arXiv 1908.10084). The weights are int8 with one scale a row, made by recipes/convert_pocket_encoders.py.

T5's encoder (Raffel et al. 2020, arXiv 1910.10683; gated as in Shazeer 2020, arXiv 2002.05202) reads the chain of
thought for the released ThinkSound model. Its weights are mapped from a converted folder (`checkpoints/encoders.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn

from reasound.checkpoints import encoders, store
from reasound.checkpoints.catalog import pocket
from reasound.errors import UserError

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

KIND = "text"
WIDTH, HEADS, LAYERS, HIDDEN = 384, 12, 6, 1536
WORDS, POSITIONS = 30_522, 512
TRAINED_TOKENS = 256  # the longest text that the sentence encoder was tuned on
NORM_EPS = 1e-12
BATCH = 64  # texts at once: bounds the memory of long lists
REMEMBERED = 4096  # sentence embeddings kept: captions and class names repeat


class MiniLM:
    """Sentence and token embeddings of English text. Make one with `MiniLM.load()`."""

    def __init__(self, network: Network, tokenizer: Tokenizer) -> None:
        self.network = network
        self.tokenizer = tokenizer
        self._known: dict[str, Floats] = {}

    @classmethod
    def load(cls, folder: Path | None = None) -> MiniLM:
        """From a folder of our format with a tokenizer.json; without one, the embedded weights, which all who ask
        for them share."""
        return _read(folder or pocket(KIND))

    def encode(self, texts: Sequence[str]) -> Floats:
        """Sentence embeddings [N, 384] of unit length: the mean of the last hidden states (text beyond 256 tokens is
        not read). A text's embedding does not depend on its neighbours in the list (within 1e-5)."""
        missing = [text for text in dict.fromkeys(_checked(texts)) if text not in self._known]
        fresh: dict[str, Floats] = {}
        for start in range(0, len(missing), BATCH):
            part = missing[start : start + BATCH]
            states, mask = self._read(part, TRAINED_TOKENS)
            mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)  # [B, T, 384] -> [B, 384]
            fresh |= zip(part, F.normalize(mean, dim=-1).numpy(), strict=True)
        found = [fresh[text] if text in fresh else self._known[text] for text in texts]
        self._known |= fresh
        if len(self._known) > REMEMBERED:
            self._known.clear()
        return np.stack(found) if found else np.zeros((0, WIDTH), np.float32)

    def tokens(self, texts: Sequence[str], limit: int = TRAINED_TOKENS) -> tuple[Floats, Bools]:
        """Last hidden states [N, T, 384] and which of them are text [N, T]; T is the longest text's length.

        Each text begins with [CLS] and ends with [SEP], both counted in `limit` (3 to 512; the encoder was tuned on
        up to 256); what is beyond it is not read. States of padding are zero.
        """
        if not 3 <= limit <= POSITIONS:
            raise ValueError(f"a text may have 3 to {POSITIONS} tokens; got a limit of {limit}")
        if not _checked(texts):
            return np.zeros((0, 0, WIDTH), np.float32), np.zeros((0, 0), np.bool_)
        states, mask = self._read(list(texts), limit)
        return (states * mask[..., None]).numpy(), mask.numpy()

    @torch.inference_mode()
    def _read(self, texts: list[str], limit: int) -> tuple[Tensor, Tensor]:
        ids = [torch.tensor(_cut(encoded.ids, limit)) for encoded in self.tokenizer.encode_batch(texts)]
        lengths = torch.tensor([len(row) for row in ids])
        mask = torch.arange(int(lengths.max())) < lengths[:, None]  # [B, T]
        return self.network(nn.utils.rnn.pad_sequence(ids, batch_first=True), mask), mask


class Network(nn.Module):
    """Token ids [B, T] and mask [B, T] -> last hidden states [B, T, 384]."""

    words: Tensor
    words_scale: Tensor
    positions: Tensor

    def __init__(self) -> None:
        super().__init__()
        # The table stays int8: a caption reads a few rows of its 30,522, so only those are made floats.
        self.register_buffer("words", torch.empty(WORDS, WIDTH, dtype=torch.int8))
        self.register_buffer("words_scale", torch.empty(WORDS))
        self.register_buffer("positions", torch.empty(POSITIONS, WIDTH))
        self.norm = nn.LayerNorm(WIDTH, NORM_EPS)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        words = self.words[ids].float() * self.words_scale[ids][..., None]  # [B, T, 384]
        x = self.norm(words + self.positions[: ids.shape[1]])
        for layer in self.layers:
            x = layer(x, mask)
        return x


class Layer(nn.Module):
    """BERT's block: norms come after the sums."""

    def __init__(self) -> None:
        super().__init__()
        self.attend_in = Int8Linear(WIDTH, 3 * WIDTH)  # queries, keys, values
        self.attend_out = Int8Linear(WIDTH, WIDTH)
        self.attend_norm = nn.LayerNorm(WIDTH, NORM_EPS)
        self.think_in = Int8Linear(WIDTH, HIDDEN)
        self.think_out = Int8Linear(HIDDEN, WIDTH)
        self.think_norm = nn.LayerNorm(WIDTH, NORM_EPS)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        batch, steps, _ = x.shape
        query, key, value = self.attend_in(x).view(batch, steps, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask[:, None, None]
        )  # [B, H, T, 32]
        x = self.attend_norm(x + self.attend_out(mixed.transpose(1, 2).reshape(batch, steps, WIDTH)))
        return self.think_norm(x + self.think_out(F.gelu(self.think_in(x))))


class Int8Linear(nn.Module):
    """A linear layer that is stored as int8 with one scale a row."""

    weight: Tensor
    scale: Tensor
    bias: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.empty(outputs, inputs, dtype=torch.int8))
        self.register_buffer("scale", torch.empty(outputs))
        self.register_buffer("bias", torch.empty(outputs))

    def widen(self) -> None:
        """To float32, once, after loading: int8 is for the disk, not for speed."""
        self.weight = self.weight * self.scale[:, None]

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


def _cut(ids: list[int], limit: int) -> list[int]:
    """At most `limit` ids; the last, [SEP], stays."""
    return ids if len(ids) <= limit else [*ids[: limit - 1], ids[-1]]


def _checked(texts: Sequence[str]) -> Sequence[str]:
    if isinstance(texts, str):
        raise ValueError("texts is a list of texts; put a single one in brackets")
    return texts


@lru_cache(maxsize=1)
def _read(folder: Path) -> MiniLM:
    network = store.load(folder, KIND, lambda _: Network())
    for part in network.modules():
        if isinstance(part, Int8Linear):
            part.widen()
    return MiniLM(network, Tokenizer.from_file(str(folder / "tokenizer.json")))


class T5:
    """States of the tokens of a chain of thought. Make one with `T5.load(folder)`."""

    def __init__(self, network: T5Encoder, tokenizer: Tokenizer) -> None:
        self.network = network
        self.tokenizer = tokenizer

    @classmethod
    def load(cls, folder: Path, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> T5:
        """From a converted folder. UserError for what is no such folder.

        With the file's own precision on the CPU weights are mapped: loading takes no time, and memory only as the
        network works. bfloat16 computes in bfloat16, float32 in float32.
        """
        config = encoders.read_config(folder, "t5")
        try:
            with torch.device("meta"):
                network = T5Encoder(config)
            pad = config["pad_token_id"]
        except KeyError as error:
            raise UserError(f"{folder}/config.json lacks {error}; convert the model again") from error
        encoders.fill(network, folder, "t5", dtype, device)
        return cls(network, encoders.read_tokenizer(folder, pad))

    @torch.inference_mode()
    def read(self, texts: Sequence[str]) -> Tensor:
        """Texts -> the states of all 77 tokens after the last norm [B, 77, 2048], float32, on the network's device.

        Longer texts are cut, their end stays; shorter ones are padded. What stands for padding reads the text too.
        """
        return self.network(*encoders.token_ids(self.tokenizer, texts))


class T5Encoder(nn.Module):
    """Token ids [B, T] and which of them are text [B, T] -> states [B, T, D]."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width, eps = config["d_model"], config["layer_norm_epsilon"]
        self.far = config["relative_attention_max_distance"]
        self.words = nn.Embedding(config["vocab_size"], width)
        self.near = nn.Parameter(torch.empty(config["relative_attention_num_buckets"], config["num_heads"]))
        self.layers = nn.ModuleList(T5Layer(config) for _ in range(config["num_layers"]))
        self.last_norm = nn.RMSNorm(width, eps)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        device = self.near.device
        place = torch.arange(ids.shape[1], device=device)
        group = distance_group(place - place[:, None], len(self.near), self.far)  # [T, T] key minus query
        bias = self.near[group].permute(2, 0, 1)  # [H, T, T]
        bias = torch.where(mask.to(device)[:, None, None], bias, -math.inf)  # [B, H, T, T]
        x = self.words(ids.to(device)).float()
        for layer in self.layers:
            x = layer(x, bias)
        return self.last_norm(x)


class T5Layer(nn.Module):
    """Norms come before, nothing has a bias. The sums are float32 [B, T, D]: too large for bfloat16."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width, hidden, eps = config["d_model"], config["d_ff"], config["layer_norm_epsilon"]
        self.heads = config["num_heads"]
        inner = self.heads * config["d_kv"]
        self.attend_norm = nn.RMSNorm(width, eps)
        self.query, self.key, self.value = (nn.Linear(width, inner, bias=False) for _ in range(3))
        self.attend_out = nn.Linear(inner, width, bias=False)
        self.think_norm = nn.RMSNorm(width, eps)
        self.think_gate, self.think_in = (nn.Linear(width, hidden, bias=False) for _ in range(2))
        self.think_out = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        dtype = self.query.weight.dtype
        y = self.attend_norm(x).to(dtype)
        # Scores are not scaled down here, so they are large; 77 tokens make float32 cheap.
        query, key, value = (
            part(y).unflatten(-1, (self.heads, -1)).transpose(1, 2).float()  # [B, H, T, D / H]
            for part in (self.query, self.key, self.value)
        )
        y = F.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=1.0)
        x = x + self.attend_out(y.transpose(1, 2).flatten(2).to(dtype))
        y = self.think_norm(x).to(dtype)
        return x + self.think_out(F.gelu(self.think_gate(y), approximate="tanh") * self.think_in(y))


def distance_group(distance: Tensor, groups: int, far: int) -> Tensor:
    """Which of the learned biases a distance in tokens (key minus query) gets.

    Half of the groups are for keys before the query, half for those after. In each half the first half are single
    steps, and the others widen evenly on a logarithmic scale up to `far`.
    """
    half = groups // 2
    exact = half // 2
    steps = distance.abs()
    wide = exact + (torch.log(steps.clamp(min=exact) / exact) / math.log(far / exact) * (half - exact)).long()
    return (distance > 0) * half + torch.where(steps < exact, steps, wide.clamp(max=half - 1))

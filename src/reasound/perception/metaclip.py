"""What is in the picture and what the caption says: MetaCLIP ViT-H/14, frozen.

CLIP's two towers (Radford et al. 2021, arXiv 2103.00020), trained on a curated crawl (Xu et al. 2023, arXiv
2309.16671). The weights are mapped from a converted folder (`checkpoints/encoders.py`). Products of matrices run in
the precision that was asked for; what flows between the layers, and the norms, are float32.

B texts or pictures, T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

from reasound.accelerate import Linear, Then, keep_freed_memory
from reasound.checkpoints import encoders
from reasound.errors import UserError
from reasound.perception.pictures import visual_pixels

BATCH = 8  # pictures at once: bounds memory, and a processor gains nothing from more


class MetaCLIP:
    """Features of pictures and of captions. Make one with `MetaCLIP.load(folder)`."""

    def __init__(self, pictures: PictureTower | None, texts: TextTower | None, tokenizer: Tokenizer) -> None:
        self.pictures = pictures
        self.texts = texts
        self.tokenizer = tokenizer

    @classmethod
    def load(
        cls,
        folder: Path,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        tower: Literal["vision", "text"] | None = None,
    ) -> MetaCLIP:
        """From a converted folder; `tower`: only the one that is needed. UserError for what is no such folder.

        With the file's own precision on the CPU weights are mapped: loading takes no time, and memory only when the
        network works. bfloat16 computes in bfloat16, float32 in float32.
        """
        config = encoders.read_config(folder, "clip")
        pictures = texts = None
        try:
            with torch.device("meta"):
                if tower != "text":
                    pictures = PictureTower(config["vision_config"], config["projection_dim"])
                if tower != "vision":
                    texts = TextTower(config["text_config"])
        except KeyError as error:
            raise UserError(f"{folder}/config.json lacks {error}; convert the model again") from error
        if pictures is not None:
            encoders.fill(pictures, folder, "vision", dtype, device)
            pictures.fold()
            for part in pictures.modules():
                if isinstance(part, Linear):
                    part.lowered = True  # the text tower gains nothing: it is asked once or twice
        if texts is not None:
            encoders.fill(texts, folder, "text", dtype, device)
            texts.fold()
        return cls(pictures, texts, encoders.read_tokenizer(folder))

    @torch.inference_mode()
    def look(self, pictures: Iterable[Tensor]) -> Tensor:
        """Pictures [3, 224, 224], one after the other or as one tensor -> features [T, 1024], float32.

        uint8 as `visual_picture` makes them, or float as `visual_pixels` does. The features are projected, not
        normalised, and on the network's device. However many pictures, a few at a time are held there, and one that
        equals the one before it (a still, a last frame that is held) is not computed again.
        """
        if self.pictures is None:
            raise ValueError("this MetaCLIP was loaded without its vision tower")
        keep_freed_memory()
        waiting: list[Tensor] = []  # pictures not computed yet
        seen: list[Tensor] = []  # features of each different picture
        order: list[int] = []  # which of them each picture is
        last: Tensor | None = None
        for picture in pictures:
            if last is None or not (picture is last or torch.equal(picture, last)):
                last = picture
                waiting.append(picture)
                if len(waiting) == BATCH:
                    seen += self._seen(waiting)
                    waiting = []
            order.append(len(seen) + len(waiting) - 1)
        if not order:
            raise ValueError("there is no picture to look at")
        if waiting:
            seen += self._seen(waiting)
        return torch.stack([seen[i] for i in order])

    def _seen(self, pictures: Sequence[Tensor]) -> Tensor:
        assert self.pictures is not None
        size = self.pictures.size
        together = torch.stack(list(pictures))
        if together.shape[1:] != (3, size, size):
            raise ValueError(f"pictures are [3, {size}, {size}]; got {list(together.shape[1:])}")
        together = together.to(self.pictures.whole.device)
        return self.pictures(together if together.is_floating_point() else visual_pixels(together))

    @torch.inference_mode()
    def read(self, texts: Sequence[str]) -> Tensor:
        """Texts -> the states of all 77 tokens after the last norm [B, 77, 1024], float32, on the network's device.

        Longer texts are cut, their end stays; shorter ones are padded. What stands for padding reads the text too.
        """
        if self.texts is None:
            raise ValueError("this MetaCLIP was loaded without its text tower")
        ids, mask = encoders.token_ids(self.tokenizer, texts)
        return self.texts(ids, mask)


class Tower(nn.Module):
    """What the two have in common."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(config) for _ in range(config["num_hidden_layers"]))
        self.last_norm = nn.LayerNorm(config["hidden_size"], config["layer_norm_eps"])

    def fold(self) -> None:
        for layer in self.modules():
            if isinstance(layer, Layer):
                layer.fold()


class PictureTower(Tower):
    """Pictures [B, 3, S, S] -> features [B, projection]."""

    def __init__(self, config: Mapping[str, Any], projection: int) -> None:
        super().__init__(config)
        width, patch = config["hidden_size"], config["patch_size"]
        self.size = config["image_size"]
        self.patches = nn.Conv2d(3, width, patch, patch, bias=False)
        self.whole = nn.Parameter(torch.empty(width))
        self.places = nn.Embedding(1 + (self.size // patch) ** 2, width)
        self.first_norm = nn.LayerNorm(width, config["layer_norm_eps"])
        self.projection = nn.Linear(width, projection, bias=False)

    def forward(self, pixels: Tensor) -> Tensor:
        weight = self.patches.weight
        patches = self.patches(pixels.to(weight.device, weight.dtype)).flatten(2).mT  # [B, patches, D]
        whole = self.whole.expand(len(patches), 1, -1)
        x = self.first_norm(torch.cat([whole, patches.float()], 1) + self.places.weight)
        for layer in self.layers:
            x = layer(x)
        return self.projection(self.last_norm(x[:, 0]).to(weight.dtype)).float()


class TextTower(Tower):
    """Token ids [B, T] and which of them are text [B, T] -> states [B, T, D]."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        width = config["hidden_size"]
        self.words = nn.Embedding(config["vocab_size"], width)
        self.places = nn.Embedding(config["max_position_embeddings"], width)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        device = self.words.weight.device
        steps = ids.shape[1]
        before = torch.ones(steps, steps, dtype=torch.bool, device=device).tril()
        seen = before & mask.to(device)[:, None, None]  # [B, 1, T, T]
        x = self.words(ids.to(device)).float() + self.places.weight[:steps]
        for layer in self.layers:
            x = layer(x, seen)
        return self.last_norm(x)


class Layer(nn.Module):
    """CLIP's block: norms come before. The sums are float32 [B, T, D].

    Quick GELU is x sigmoid(1.702 x), so it is the SiLU of 1.702 x over 1.702. `fold` puts the one factor into the norm
    before and the other into the sum after, which leaves an activation that the product itself can do.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width, hidden, eps = config["hidden_size"], config["intermediate_size"], config["layer_norm_eps"]
        self.heads = config["num_attention_heads"]
        self.act, self.factor = ACTIVATIONS[config["hidden_act"]]
        self.attend_norm = nn.LayerNorm(width, eps)
        self.query, self.key, self.value, self.attend_out = (Linear(width, width) for _ in range(4))
        self.think_norm = nn.LayerNorm(width, eps)
        self.think_in = Linear(width, hidden)
        self.think_out = Linear(hidden, width)

    def fold(self) -> None:
        """Once, after loading."""
        for part, name in (
            (self.think_norm, "weight"),
            (self.think_norm, "bias"),
            (self.think_in, "bias"),
            (self.think_out, "bias"),
        ):
            setattr(part, name, nn.Parameter(getattr(part, name) * self.factor, requires_grad=False))

    def forward(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        dtype = self.query.dtype
        y = self.attend_norm(x).to(dtype)
        query, key, value = (
            part(y).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [B, H, T, D / H]
            for part in (self.query, self.key, self.value)
        )
        y = F.scaled_dot_product_attention(query, key, value, attn_mask=seen)
        x = x + self.attend_out(y.transpose(1, 2).flatten(2))
        y = self.think_in(self.think_norm(x).to(dtype), self.act)
        return torch.add(x, self.think_out(y), alpha=1 / self.factor)


ACTIVATIONS: dict[str, tuple[Then, float]] = {
    "quick_gelu": ("swish", 1.702),
    "gelu": ("gelu", 1.0),
}
"""By their names in config.json: what follows a product, and the factor that `Layer.fold` spreads."""

"""The pocket reasoner as a model of transformers: the same folder, the same numbers.

    import reasound.reasoning.pocket.hf                        # makes it known to the Auto classes
    model = AutoModelForCausalLM.from_pretrained(folder)
    model(things=Things.of([prefix]), input_ids=answer).logits

Needs transformers, which the product itself does not.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, LlamaModel
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.modeling_utils import PreTrainedModel

from reasound.reasoning.pocket import weights
from reasound.reasoning.pocket.config import PocketConfig
from reasound.reasoning.pocket.network import PrefixEmbedding, Things


class PocketHubConfig(LlamaConfig):
    """Llama's, whose words are also what is read out."""

    model_type = "reasound_pocket"

    def __init__(self, **fields: Any) -> None:
        super().__init__(**({"tie_word_embeddings": True} | fields))


class PocketForCausalLM(PreTrainedModel):
    """One prefix of things, then the words of one answer."""

    config_class = PocketHubConfig

    def __init__(self, config: PocketHubConfig) -> None:
        super().__init__(config)
        names = PocketConfig.__dataclass_fields__
        ours = PocketConfig(**{k: v for k, v in config.to_dict().items() if k in names})
        self.model = LlamaModel(config)
        self.prefix = PrefixEmbedding(ours)
        self.post_init()

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, folder: str | Path, *_: Any, config: Any = None, **__: Any
    ) -> PocketForCausalLM:
        """From a folder of our format, whose matrices are int8."""
        network = weights.load(Path(folder))
        made = cls(hub_config(network.config))
        made.load_state_dict(network.state_dict())
        return made.eval()

    def get_input_embeddings(self) -> nn.Embedding:
        embeddings = self.model.get_input_embeddings()
        assert isinstance(embeddings, nn.Embedding)
        return embeddings

    def forward(self, things: Things, input_ids: Tensor, **_: Any) -> CausalLMOutputWithPast:
        """Logits [1, T, V] of the words that follow those of `input_ids` [1, T]."""
        words = self.get_input_embeddings()
        given = self.prefix(things, words.weight)[None]
        hidden = self.model(inputs_embeds=torch.cat([given, words(input_ids)], 1)).last_hidden_state
        logits = nn.functional.linear(hidden[:, given.shape[1] :], words.weight)
        return CausalLMOutputWithPast(logits=logits)


def hub_config(config: PocketConfig) -> PocketHubConfig:
    """The same shape in transformers' words."""
    fields = {k: v for k, v in asdict(config).items() if k != "model_type"}
    heads = config.num_attention_heads
    return PocketHubConfig(
        **fields, num_key_value_heads=heads, head_dim=config.head_dim, max_position_embeddings=2048
    )


AutoConfig.register("reasound_pocket", PocketHubConfig, exist_ok=True)
AutoModelForCausalLM.register(PocketHubConfig, PocketForCausalLM, exist_ok=True)

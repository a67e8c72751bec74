"""The shape of the pocket reasoner's network."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PocketConfig:
    """Names as in transformers' Llama, whose blocks these are."""

    vocab_size: int
    hidden_size: int = 320
    intermediate_size: int = 864
    num_hidden_layers: int = 8
    num_attention_heads: int = 5
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10_000.0
    model_type: str = "reasound_pocket"
    vocabulary: str = ""
    """Hash of the vocabulary: tokens must mean what they meant in training."""

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads

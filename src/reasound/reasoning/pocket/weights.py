"""The pocket reasoner on disk: a folder of our own format whose matrices are int8, with one scale an output."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reasound.checkpoints import store
from reasound.errors import UserError
from reasound.reasoning.pocket import tokenizer as t
from reasound.reasoning.pocket.config import PocketConfig
from reasound.reasoning.pocket.network import Network

KIND = "reasoner"


def save(folder: Path, network: Network) -> None:
    """Write config.json and reasoner.safetensors."""
    store.save(folder, KIND, network.state_dict(), network.config, rows=True)


def load(folder: Path) -> Network:
    """Ready to write with, in float32. UserError for a folder that is damaged or of another vocabulary."""
    return store.load(folder, KIND, build)


def build(fields: Mapping[str, Any]) -> Network:
    config = PocketConfig(**fields)
    if config.vocabulary != t.fingerprint():
        raise UserError(
            "the pocket reasoner was trained with other words than this program has; get its weights again"
        )
    return Network(config)


def new_config(**fields: Any) -> PocketConfig:
    """A configuration of the vocabulary that this program has."""
    return PocketConfig(vocab_size=len(t.names()), vocabulary=t.fingerprint(), **fields)

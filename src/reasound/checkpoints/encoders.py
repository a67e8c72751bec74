"""The encoders that ThinkSound reads with, MetaCLIP and T5, as the public hub has them: converted once, then mapped.

A converted folder holds config.json (every setting spelled out), model.safetensors under the hub's names and
tokenizer.json, and is a folder that transformers can read too. Converting asks transformers what belongs in it; reading
a converted folder needs torch, safetensors and tokenizers alone.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from reasound.checkpoints import store
from reasound.errors import UserError

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer
    from torch import Tensor, nn

METACLIP, T5 = "facebook/metaclip-h14-fullcc2.5b", "google/t5-v1_1-xl"
"""Where the released ThinkSound model's encoders are on the hub."""

METACLIP_SIZES = {
    "projection_dim": 1024,
    "vision_config.hidden_size": 1280,
    "vision_config.num_hidden_layers": 32,
    "vision_config.patch_size": 14,
    "text_config.hidden_size": 1024,
    "text_config.num_hidden_layers": 24,
}
T5_SIZES = {"d_model": 2048, "d_ff": 5120, "num_layers": 24, "num_heads": 32}
"""What tells the released encoders from their smaller and larger sisters."""

TOKENS = 77
"""What both encoders read of a text: longer ones are cut, shorter ones padded, and what stands for padding counts."""

WEIGHTS = "model.safetensors"
_SOURCES = (WEIGHTS, "pytorch_model.bin")  # the first that a folder has, whole or in parts, is read
_SAMPLES = (
    "",
    "A dog barks twice, then rain begins to fall.",
    "Generate the SOUND of 3 bells; don't add music: it's a quiet café – naïve birds sing!",
    "waves roll over stones, and wind howls between the old houses by the sea " * 12,
)

_STARTS = {
    "vision": {
        "patches.": "vision_model.embeddings.patch_embedding.",
        "whole": "vision_model.embeddings.class_embedding",
        "places.": "vision_model.embeddings.position_embedding.",
        "first_norm.": "vision_model.pre_layrnorm.",
        "layers.": "vision_model.encoder.layers.",
        "last_norm.": "vision_model.post_layernorm.",
        "projection.": "visual_projection.",
    },
    "text": {
        "words.": "text_model.embeddings.token_embedding.",
        "places.": "text_model.embeddings.position_embedding.",
        "layers.": "text_model.encoder.layers.",
        "last_norm.": "text_model.final_layer_norm.",
    },
    "t5": {
        "words.": "shared.",
        "near": "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
        "layers.": "encoder.block.",
        "last_norm.": "encoder.final_layer_norm.",
    },
}
"""How our names of each network begin, and what the hub has for it."""
_CLIP_LAYER = {
    ".attend_norm.": ".layer_norm1.",
    ".query.": ".self_attn.q_proj.",
    ".key.": ".self_attn.k_proj.",
    ".value.": ".self_attn.v_proj.",
    ".attend_out.": ".self_attn.out_proj.",
    ".think_norm.": ".layer_norm2.",
    ".think_in.": ".mlp.fc1.",
    ".think_out.": ".mlp.fc2.",
}
_T5_LAYER = {
    ".attend_norm.": ".layer.0.layer_norm.",
    ".query.": ".layer.0.SelfAttention.q.",
    ".key.": ".layer.0.SelfAttention.k.",
    ".value.": ".layer.0.SelfAttention.v.",
    ".attend_out.": ".layer.0.SelfAttention.o.",
    ".think_norm.": ".layer.1.layer_norm.",
    ".think_gate.": ".layer.1.DenseReluDense.wi_0.",
    ".think_in.": ".layer.1.DenseReluDense.wi_1.",
    ".think_out.": ".layer.1.DenseReluDense.wo.",
}


# Reading a converted folder


def read_config(folder: Path, model_type: str) -> dict[str, Any]:
    """config.json of a hub folder or a converted one. UserError when it is missing or of another kind of model."""
    config = store.config_of(folder)
    found = config.get("model_type") if isinstance(config, dict) else None
    if found != model_type:
        raise UserError(
            f"{folder} holds {f'a {found!r}' if found else 'no named type of'} model, not a {model_type!r}"
        )
    return config


def fill(
    network: nn.Module,
    folder: Path,
    part: Literal["vision", "text", "t5"],
    dtype: torch.dtype,
    device: torch.device | str,
) -> None:
    """Give a network that was built on the meta device its tensors, and make it ready to use (no gradients).

    Weights of layers become `dtype`; norms and the network's own parameters float32. What the file holds in that
    precision is mapped, not read: pages come in when they are needed, and can go again. UserError names a tensor that
    is missing, unknown or misshapen.
    """
    import torch
    from torch import nn

    path = folder / WEIGHTS
    starts = tuple(_STARTS[part].values())
    stored = {name: tensor for name, tensor in store.mapped(path).items() if name.startswith(starts)}
    wanted = {_theirs(name, part): tensor for name, tensor in network.state_dict().items()}
    store.check(store.shapes(wanted), store.shapes(stored), str(path))
    for prefix, layer in network.named_modules():
        exact = not prefix or isinstance(layer, (nn.LayerNorm, nn.RMSNorm))
        for name in [name for name, _ in layer.named_parameters(recurse=False)]:
            tensor = stored[_theirs(f"{prefix}.{name}" if prefix else name, part)]
            tensor = tensor.to(device, torch.float32 if exact else dtype)
            setattr(layer, name, nn.Parameter(tensor, requires_grad=False))
    network.eval()


def _theirs(name: str, part: str) -> str:
    """The hub's name of one of our tensors."""
    ours = next(ours for ours in _STARTS[part] if name.startswith(ours))
    name = _STARTS[part][ours] + name.removeprefix(ours)
    for ours, theirs in (_T5_LAYER if part == "t5" else _CLIP_LAYER).items():
        name = name.replace(ours, theirs)
    return name


def read_tokenizer(folder: Path, pad: int | None = None) -> Tokenizer:
    """tokenizer.json, made to cut or pad every text to 77 tokens. Without `pad`, the token that ends texts fills up."""
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    except Exception as error:  # tokenizers raises nothing more special
        raise UserError(f"{path} is damaged: {error}; convert the model again") from error
    tokenizer.no_padding()
    if pad is None:
        pad = tokenizer.encode("").ids[-1]
    tokenizer.enable_truncation(TOKENS)  # what the model adds, such as the end, counts and stays
    tokenizer.enable_padding(length=TOKENS, pad_id=pad, pad_token=tokenizer.id_to_token(pad))
    return tokenizer


def token_ids(tokenizer: Tokenizer, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Ids [B, 77] and which of them are text [B, 77]."""
    import torch

    if isinstance(texts, str):
        raise ValueError("texts is a list of texts; put a single one in brackets")
    read = tokenizer.encode_batch(list(texts))
    ids, mask = ([getattr(text, part) for text in read] for part in ("ids", "attention_mask"))
    return torch.tensor(ids).view(-1, TOKENS).long(), torch.tensor(mask).view(-1, TOKENS).bool()


# Converting a folder of the hub


def convert_metaclip(
    source: Path, target: Path, dtype: torch.dtype, sizes: Mapping[str, int] | None = None
) -> None:
    """A hub folder of a CLIP model -> a converted folder, which must not be there yet; it appears whole or not at all.

    Matrices are stored as `dtype` (bfloat16 or float32), vectors and T5's position biases as float32. `sizes` are
    settings of config.json that must be as given, such as METACLIP_SIZES. The activation is what config.json says,
    quick_gelu or gelu. UserError when something is missing, damaged, not plain tensors, or not of the model.
    """
    config = read_config(source, "clip")
    with _transformers():
        from transformers import CLIPConfig, CLIPModel

        settings, wanted = _understood(CLIPConfig, CLIPModel, config, source, sizes)
        for tower in ("vision_config", "text_config"):
            if settings[tower]["hidden_act"] not in ("quick_gelu", "gelu"):
                raise UserError(
                    f"{source} has the activation {settings[tower]['hidden_act']!r}, which this program does not know"
                )
        with _appearing(target) as folder:
            words = settings["text_config"]["vocab_size"]
            _convert_tokenizer(source, folder, ("vocab.json", "merges.txt"), words, None)
            tensors = _tensors(source)
            for tower in ("vision", "text"):  # older files carry these counts from 0 up
                tensors.pop(f"{tower}_model.embeddings.position_ids", None)
            store.check(store.shapes(wanted), store.shapes(tensors), str(source))
            _write(folder, settings, {name: tensors[name] for name in wanted}, dtype)


def convert_t5(
    source: Path, target: Path, dtype: torch.dtype, sizes: Mapping[str, int] | None = None
) -> None:
    """A hub folder of a T5 v1.1 -> a converted folder with its encoder alone; the rest is as for `convert_metaclip`.

    Weights in a .bin are mapped too, so that converting takes little memory, unless the file is older than
    PyTorch 1.6: those can only be read whole.
    """
    config = read_config(source, "t5")
    with _transformers():
        import torch
        from transformers import T5Config, T5EncoderModel

        settings, wanted = _understood(T5Config, T5EncoderModel, config, source, sizes)
        if settings["feed_forward_proj"] != "gated-gelu":
            raise UserError(f"{source} is not a T5 of version 1.1; get {T5} from the hub")
        again = "encoder.embed_tokens.weight"  # the table of words under a second name
        wanted.pop(again, None)
        with _appearing(target) as folder:
            _convert_tokenizer(source, folder, ("spiece.model",), settings["vocab_size"], 0)
            tensors = {
                name: tensor
                for name, tensor in _tensors(source).items()
                if not name.startswith(("decoder.", "lm_head."))
            }
            words = tensors.pop(again, None)
            if words is not None and not torch.equal(words, tensors.setdefault("shared.weight", words)):
                raise UserError(
                    f"{source} has two tables of words, {again!r} and 'shared.weight', that differ"
                )
            store.check(store.shapes(wanted), store.shapes(tensors), str(source))
            _write(folder, settings, {name: tensors[name] for name in wanted}, dtype)


@contextmanager
def _transformers() -> Iterator[None]:
    """What is imported or asked for in here needs the extra."""
    try:
        yield
    except ImportError as error:  # transformers asks for sentencepiece and protobuf only when it needs them
        raise UserError(
            "converting ThinkSound's encoders needs more packages; get them with:  pip install 'reasound[thinksound]'"
        ) from error


def _understood(
    kind: Any, network: Any, config: Mapping[str, Any], source: Path, sizes: Mapping[str, int] | None
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """config.json with every setting that it leaves to the library's defaults, and the tensors of such a model."""
    import torch

    try:
        read = kind.from_dict(dict(config))
        settings: dict[str, Any] = read.to_dict()
        with torch.device("meta"):
            wanted: dict[str, Tensor] = network(read).state_dict()
    except Exception as error:  # the library's checks have classes of their own in every version
        raise UserError(
            f"{source}/config.json does not describe a {config['model_type']!r}: {_line(error)}"
        ) from error
    for key, size in (sizes or {}).items():
        *outer, last = key.split(".")
        part = settings[outer[0]] if outer else settings
        if part.get(last) != size:
            raise UserError(
                f"{source} is another model than ThinkSound uses: its {key} is {part.get(last)}, not {size}"
            )
    return settings, wanted


@contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """A folder to write to; it becomes `target` at the end, and is removed if anything goes wrong."""
    if target.exists():
        raise UserError(f"{target} is already there; remove it or choose another folder")
    fresh = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        fresh.mkdir(parents=True)
        yield fresh
        fresh.replace(target)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"cannot write {target}: {reason}; choose another place or make room") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _convert_tokenizer(source: Path, folder: Path, files: Sequence[str], words: int, pad: int | None) -> None:
    """Write tokenizer.json, and see that what we read with it is what transformers reads.

    `files`: what it can be made from instead; without them transformers would make up a tokenizer that knows no words.
    """
    from transformers import AutoTokenizer

    if not (source / "tokenizer.json").exists():
        for name in files:
            if not (source / name).exists():
                raise UserError(f"{source} has no tokenizer: neither tokenizer.json nor {name}; get it again")
    try:
        original = AutoTokenizer.from_pretrained(str(source), local_files_only=True, trust_remote_code=False)
    except ImportError:
        raise
    except Exception as error:  # nothing more special for a missing or damaged file
        raise UserError(f"cannot read the tokenizer of {source}: {_line(error)}") from error
    if len(original) > words:
        raise UserError(
            f"the tokenizer of {source} has {len(original)} words, its model {words}; get it again"
        )
    original.backend_tokenizer.save(str(folder / "tokenizer.json"))
    ids, mask = token_ids(read_tokenizer(folder, pad), _SAMPLES)
    read = original(list(_SAMPLES), padding="max_length", max_length=TOKENS, truncation=True)
    if ids.tolist() != read["input_ids"] or mask.int().tolist() != read["attention_mask"]:
        raise UserError(f"the tokenizer of {source} reads otherwise when it is stored as tokenizer.json")
    _check_pieces(source / "spiece.model", ids.tolist())


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _check_pieces(path: Path, ids: Sequence[Sequence[int]]) -> None:
    """The ids of the samples are those of the model's own sentencepiece file, where it has one."""
    if not path.exists():
        return
    from sentencepiece import SentencePieceProcessor

    pieces = SentencePieceProcessor(model_file=str(path))
    for text, found in zip(_SAMPLES, ids, strict=True):
        wanted = [*pieces.encode(text)[: TOKENS - 1], pieces.eos_id()]
        if found[: len(wanted)] != wanted:
            raise UserError(f"the tokenizer made from {path} does not read {text!r} as that file does")


def _tensors(source: Path) -> dict[str, Tensor]:
    """All the tensors of a hub folder, mapped where the format allows it."""
    from reasound.checkpoints import official

    for name in _SOURCES:
        index = source / f"{name}.index.json"
        if (source / name).exists():
            return official.read(source / name)
        if index.exists():
            try:
                parts = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                raise UserError(f"cannot read {index}: it is no index of weights; get it again") from error
            files = [official.read(source / Path(part).name) for part in parts]
            return {name: tensor for file in files for name, tensor in file.items()}
    raise UserError(f"{source} has no weights: neither {' nor '.join(_SOURCES)}, nor an index of parts")


def _write(
    folder: Path, settings: Mapping[str, Any], tensors: Mapping[str, Tensor], dtype: torch.dtype
) -> None:
    """config.json and model.safetensors. One tensor is in memory at a time: safetensors' own writer wants them all."""
    import torch

    names = {torch.float32: "F32", torch.bfloat16: "BF16"}
    if dtype not in names:
        raise ValueError(f"weights are stored as float32 or bfloat16, not {dtype}")
    kept = {
        name: torch.float32 if tensor.ndim < 2 or "relative_attention_bias" in name else dtype
        for name, tensor in tensors.items()
    }
    order = sorted(tensors, key=lambda name: -kept[name].itemsize)  # the wider first: none is misaligned
    head: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    place = 0
    for name in order:
        end = place + tensors[name].numel() * kept[name].itemsize
        head[name] = {
            "dtype": names[kept[name]],
            "shape": list(tensors[name].shape),
            "data_offsets": [place, end],
        }
        place = end
    text = json.dumps(head).encode()
    text += b" " * (-(len(text) + 8) % 64)
    with (folder / WEIGHTS).open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            tensor = tensors[name].to(kept[name]).contiguous()
            file.write(tensor.reshape(-1).view(torch.uint8).numpy().data)
    stored = {**settings, "dtype": str(dtype).removeprefix("torch.")}
    (folder / "config.json").write_text(json.dumps(stored, indent=2) + "\n")

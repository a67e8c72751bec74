"""Multimodal models of four families, small enough to be made on the spot, with random weights; and one that spells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from reasound.reasoning import prompts

FAMILIES = ("qwen3_vl", "qwen2_5_vl", "smolvlm", "llava_onevision")

SPECIAL = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<image>",
    "<video>",
    "<fake_token_around_image>",
    "<global-img>",
    "<end_of_utterance>",
]
_PICTURE = {
    "qwen3_vl": "<|vision_start|><|image_pad|><|vision_end|>",
    "qwen2_5_vl": "<|vision_start|><|image_pad|><|vision_end|>",
    "smolvlm": "<image>",
    "llava_onevision": "<image>",
}
_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}PICTURE{% else %}{{ c['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_TEXT = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 16384,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": 2,
}


def tokenizer() -> transformers.PreTrainedTokenizerFast:
    """Byte pairs learned from our own prompts, so that questions are short."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"\w+|\W"), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1200,
        special_tokens=SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bpe.train_from_iterator([Path(prompts.__file__).read_text(encoding="utf-8"), prompts._classes()], trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )


def write(folder: Path, family: str, seed: int = 0, width: int = 16, layers: int = 1) -> Path:
    """A folder as `save_pretrained` makes it, without a video processor. `width` and `layers`: of Qwens' text."""
    words = tokenizer()
    words.chat_template = _TEMPLATE.replace("PICTURE", _PICTURE[family])
    model = _model(
        family, len(words), dict(zip(SPECIAL, range(len(SPECIAL)), strict=True)), seed, width, layers
    )
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    preprocessor, processor = _processors(family)
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    (folder / "processor_config.json").write_text(json.dumps(processor))
    return folder


def _model(family: str, words: int, ids: dict[str, int], seed: int, width: int, layers: int) -> Any:
    torch.manual_seed(seed)
    large = width**-0.5  # .02 is for wide models: narrow ones would hardly attend to anything
    qwen = {
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
    }
    text = _TEXT | {"vocab_size": words}
    if family.startswith("qwen"):
        text |= {"hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": layers}
        text |= {"initializer_range": large}
        section = [width // 8, width // 16, width // 16]
        rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": section}
    if family == "qwen3_vl":
        vision = {
            "depth": 1,
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_heads": 2,
            "out_hidden_size": width,
            "initializer_range": 0.25,
        }
        vision |= {"num_position_embeddings": 64, "deepstack_visual_indexes": [0]}
        text |= {"head_dim": width // 2, "rope_parameters": rope | {"mrope_interleaved": True}}
        config: Any = transformers.Qwen3VLConfig(text_config=text, vision_config=vision, **qwen)
        return transformers.Qwen3VLForConditionalGeneration(config)
    if family == "qwen2_5_vl":
        vision = {
            "depth": 1,
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_heads": 2,
            "out_hidden_size": width,
            "initializer_range": 0.25,
        }
        vision |= {"fullatt_block_indexes": [0]}
        text |= {"rope_parameters": rope}
        config = transformers.Qwen2_5_VLConfig(text_config=text, vision_config=vision, **qwen)
        return transformers.Qwen2_5_VLForConditionalGeneration(config)
    vision = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision |= {"image_size": 56, "patch_size": 14}
    if family == "smolvlm":
        config = transformers.SmolVLMConfig(
            text_config=text | {"model_type": "llama"},
            vision_config=vision,
            image_token_id=ids["<image>"],
            scale_factor=2,
        )
        return transformers.SmolVLMForConditionalGeneration(config)
    config = transformers.LlavaOnevisionConfig(
        text_config=text | {"model_type": "qwen2"},
        vision_config=vision | {"model_type": "siglip_vision_model", "vision_use_head": False},
        image_token_index=ids["<image>"],
        video_token_index=ids["<video>"],
        image_grid_pinpoints=[[56, 56], [56, 112]],
    )
    return transformers.LlavaOnevisionForConditionalGeneration(config)


def _processors(family: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """preprocessor_config.json and processor_config.json, under the names that the hub's models have."""
    square = {"height": 56, "width": 56}
    if family in ("qwen3_vl", "qwen2_5_vl"):
        patch = 16 if family == "qwen3_vl" else 14
        kind = {"qwen3_vl": "Qwen3VLProcessor", "qwen2_5_vl": "Qwen2_5_VLProcessor"}[family]
        images = {"image_processor_type": "Qwen2VLImageProcessor", "patch_size": patch, "merge_size": 2}
        images |= {"temporal_patch_size": 2, "size": {"shortest_edge": 1024, "longest_edge": 16384}}
        return images, {"processor_class": kind}
    if family == "smolvlm":
        images = {"image_processor_type": "SmolVLMImageProcessor", "size": {"longest_edge": 112}}
        images |= {"max_image_size": {"longest_edge": 56}, "do_image_splitting": True}
        return images, {"processor_class": "SmolVLMProcessor", "image_seq_len": 4}
    images = {"image_processor_type": "LlavaOnevisionImageProcessor", "size": square}
    images |= {"image_grid_pinpoints": [[56, 56], [56, 112]]}
    fields = {"num_image_tokens": 16, "vision_feature_select_strategy": "full"}
    return images, {"processor_class": "LlavaOnevisionProcessor", **fields}


class Spelling(transformers.LogitsProcessor):
    """Forces an answer, token by token, whatever the model would say."""

    def __init__(self, ids: list[int], end: int) -> None:
        self.ids, self.at = [*ids, end], 0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        forced = torch.full_like(scores, -torch.inf)
        forced[:, self.ids[min(self.at, len(self.ids) - 1)]] = 0
        self.at += 1
        return forced


def spell(reasoner: Any, *answers: str) -> None:
    """The model of an `Mllm` gives these answers, one a question."""
    model, processor = reasoner.load()
    words = processor.tokenizer
    ids = [words(answer, add_special_tokens=False)["input_ids"] for answer in answers]
    plain = type(model).generate
    queue = iter(ids)

    def generate(**asked: Any) -> Any:
        forced = transformers.LogitsProcessorList([Spelling(next(queue), words.eos_token_id)])
        return plain(model, **asked, logits_processor=forced)

    model.generate = generate

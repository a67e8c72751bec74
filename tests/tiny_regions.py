"""Networks that follow and find things, small enough to be made on the spot, with random weights."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers as tf

SIDE = 64
_WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "the", "dog", "ball", "."]


def write(folder: Path, kind: str, seed: int = 0) -> Path:
    """A folder as `save_pretrained` makes it."""
    torch.manual_seed(seed)
    {"sam2": _sam2, "edgetam": _edgetam, "sam3": _sam3}[kind]().save_pretrained(folder)
    return folder


def write_finder(folder: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    config = tf.GroundingDinoConfig(
        backbone_config=tf.SwinConfig(
            image_size=SIDE, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1], window_size=4,
            out_indices=[2, 3, 4],
        ),
        text_config=tf.BertConfig(
            vocab_size=len(_WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
            max_position_embeddings=64,
        ),
        num_queries=6, d_model=32, encoder_layers=1, decoder_layers=2, encoder_ffn_dim=16, decoder_ffn_dim=16,
        encoder_attention_heads=2, decoder_attention_heads=2, max_text_len=16,
    )  # fmt: skip
    tf.AutoModelForZeroShotObjectDetection.from_config(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(_WORDS), encoding="utf-8")
    tf.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    from transformers.models.grounding_dino.image_processing_pil_grounding_dino import (
        GroundingDinoImageProcessorPil,
    )

    GroundingDinoImageProcessorPil(size={"shortest_edge": SIDE, "longest_edge": 2 * SIDE}).save_pretrained(
        folder
    )
    return folder


_PROMPT = {"hidden_size": 128, "image_size": SIDE, "patch_size": 16, "mask_input_channels": 4}
_DECODER = {
    "hidden_size": 128, "mlp_dim": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "iou_head_hidden_dim": 32,
}  # fmt: skip
_MEMORY = {
    "num_maskmem": 3, "memory_attention_hidden_size": 128, "memory_attention_num_layers": 1,
    "memory_attention_rope_feat_sizes": [4, 4], "memory_encoder_hidden_size": 128,
    "memory_encoder_output_channels": 64, "mask_downsampler_embed_dim": 128, "memory_fuser_embed_dim": 128,
    "memory_fuser_intermediate_dim": 32, "memory_fuser_num_layers": 1,
}  # fmt: skip


def _hiera() -> tf.Sam2VisionConfig:
    backbone = tf.Sam2HieraDetConfig(
        hidden_size=8, image_size=[SIDE, SIDE], embed_dim_per_stage=[8, 16, 24, 32], blocks_per_stage=[1, 1, 2, 1],
        num_attention_heads_per_stage=[1, 1, 1, 1], global_attention_blocks=[3], window_size_per_stage=[4, 4, 4, 4],
        window_positional_embedding_background_size=[4, 4],
    )  # fmt: skip
    return tf.Sam2VisionConfig(
        backbone_config=backbone, backbone_channel_list=[32, 24, 16, 8], fpn_hidden_size=128,
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
    )  # fmt: skip


def _sam2() -> tf.PreTrainedModel:
    return tf.Sam2VideoModel(
        tf.Sam2VideoConfig(
            vision_config=_hiera(),
            prompt_encoder_config=_PROMPT,
            mask_decoder_config=_DECODER,
            image_size=SIDE,
            memory_attention_feed_forward_hidden_size=32,
            **_MEMORY,
        )  # fmt: skip
    )


def _edgetam() -> tf.PreTrainedModel:
    return tf.EdgeTamVideoModel(
        tf.EdgeTamVideoConfig(
            vision_config=_hiera(),
            prompt_encoder_config=_PROMPT,
            mask_decoder_config=_DECODER,
            image_size=SIDE,
            memory_attention_mlp_hidden_size=32,
            memory_attention_rope_k_sizes=[2, 2],
            perceiver_resampler_num_latents=4,
            perceiver_resampler_num_latents_2d=4,
            perceiver_resampler_mlp_intermediate_size=16,
            **_MEMORY,
        )  # fmt: skip
    )


def _sam3() -> tf.PreTrainedModel:
    backbone = tf.Sam3ViTConfig(
        hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=56, patch_size=14,
        pretrain_image_size=28, window_size=2, global_attn_indexes=[1],
    )  # fmt: skip
    vision = tf.Sam3VisionConfig(backbone_config=backbone, fpn_hidden_size=128)
    prompt = _PROMPT | {"image_size": 56, "patch_size": 14}
    return tf.Sam3TrackerVideoModel(
        tf.Sam3TrackerVideoConfig(
            vision_config=vision,
            prompt_encoder_config=prompt,
            mask_decoder_config=_DECODER,
            image_size=56,
            memory_attention_feed_forward_hidden_size=32,
            **_MEMORY,
        )  # fmt: skip
    )

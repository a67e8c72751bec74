"""Any multimodal language model in Hugging Face format, on this machine: Qwen3-VL, Qwen2.5-VL, SmolVLM, LLaVA-OneVision
and whatever else transformers' Auto classes open as image-text-to-text.

Pictures go in one by one with their times, prepared by Pillow: torchvision, which transformers wants for videos, is not
needed.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reasound.errors import UserError
from reasound.reasoning.frames import BUDGET, SIDE, Frame
from reasound.reasoning.large import LargeReasoner
from reasound.reasoning.prompts import Prompt
from reasound.reasoning.reasoner import Progress, Reasoner

ANSWER = 4096
"""Tokens of an answer, at most."""
ADAPTER = "adapter_config.json"
"""What tells that a folder holds a LoRA adapter, not a model."""
_WEIGHTS = ("*.safetensors", "*.bin")
_UNSPLIT = {"do_image_splitting": False}
"""SmolVLM cuts a large picture into many, each with its own tokens; a few of the whole tell more of a video."""


class Mllm(LargeReasoner):
    """A model in a folder, or in Hugging Face's cache under its hub name. It loads with the first question."""

    def __init__(
        self,
        where: str,
        fallback: Reasoner | None = None,
        budget: int = BUDGET,
        *,
        device: str = "auto",
        dtype: str = "auto",
        download: bool = False,
    ) -> None:
        """`device`: "cpu", "cuda", "mps" or "auto". `dtype`: "float32" or "bfloat16"; "auto" is what the file has, in 4
        bits where that can be had. `download`: the user allowed to get a hub name that is not here.
        """
        super().__init__(f"mllm:{where}", where, fallback, budget)
        self.where, self.download = where, download
        self.device, self.dtype = device, dtype
        self.options: dict[str, Any] = {"max_new_tokens": ANSWER, "do_sample": False}
        """What `generate` is told beside the prompt."""
        self._loaded: tuple[Any, Any] | None = None

    def ask(self, prompt: Prompt, turns: Sequence[str], progress: Progress | None) -> str:
        """See `LargeReasoner.ask`. The same question gets the same answer: the likeliest token is taken."""
        import torch

        model, processor = self.load()
        inputs = self.inputs(prompt, turns).to(model.device)
        length = inputs["input_ids"].shape[1]
        if self.room is not None and length >= self.room:
            raise UserError(
                f"the question takes {length} tokens, but {self.where} reads only {self.room}; choose another model"
            )
        streamer = _streamer(processor.tokenizer, progress) if progress else None
        with torch.inference_mode():
            out = model.generate(**inputs, **self.options, streamer=streamer)
        text: str = processor.tokenizer.decode(out[0, length:], skip_special_tokens=True)
        return text

    def picture_tokens(self) -> int:
        """Counted on a blank picture of the size that pictures have, beside another: some models cut a single one."""
        _, processor = self.load()
        blank = Frame(0.0, np.zeros((SIDE * 9 // 16, SIDE, 3), np.uint8))
        one, two = (self.inputs(Prompt("", (blank,) * count, {}))["input_ids"].shape[1] for count in (2, 3))
        return max(1, int(two - one))

    def inputs(self, prompt: Prompt, turns: Sequence[str] = ()) -> Any:
        """A question as tensors: the chat template's text, tokens, and the pictures of all its frames."""
        from PIL import Image

        _, processor = self.load()
        content = [
            {"type": "text", "text": part} if isinstance(part, str) else {"type": "image"}
            for part in prompt.parts
        ]
        said: list[dict[str, Any]] = [{"role": "user", "content": content}]
        if prompt.system:
            said.insert(0, _said("system", prompt.system))
        said += [_said(("assistant", "user")[k % 2], text) for k, text in enumerate(turns)]
        text = processor.apply_chat_template(said, add_generation_prompt=True)
        pictures = [Image.fromarray(part.picture) for part in prompt.parts if isinstance(part, Frame)]
        options = _UNSPLIT if hasattr(processor.image_processor, "do_image_splitting") else {}
        return processor(
            text=[text],
            images=[pictures] if pictures else None,
            return_tensors="pt",
            add_special_tokens=False,  # the template has written them
            **(options if pictures else {}),
        )

    def answer_ids(self, answer: str) -> list[int]:
        """Tokens of an answer and of what ends it, as the model would write them after `inputs`."""
        _, processor = self.load()
        said = [_said("user", "?")]
        asked = processor.apply_chat_template(said, add_generation_prompt=True)
        whole = processor.apply_chat_template([*said, _said("assistant", answer)])
        begun = asked + answer
        ending = whole.removeprefix(begun).rstrip() if whole.startswith(begun) else ""
        words = processor.tokenizer
        ids: list[int] = words(answer + (ending or words.eos_token), add_special_tokens=False)["input_ids"]
        return ids

    @property
    def room(self) -> int | None:
        """How many tokens the model reads, where it says so."""
        model, _ = self.load()
        room: int | None = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        return room

    def load(self) -> tuple[Any, Any]:
        """(model, processor), loaded once. UserError where there are no weights, or none that transformers reads."""
        if self._loaded is None:
            try:
                self._loaded = self._load()
            except ImportError as error:
                raise UserError(
                    f"{self.name} needs packages that are not here ({error.name or error}); install them with:  "
                    "pip install 'reasound[mllm]'"
                ) from error
        return self._loaded

    def _load(self) -> tuple[Any, Any]:
        import transformers
        from safetensors import SafetensorError

        adapter = folder_of(self.where, self.download)
        folder = self.base()
        logging = transformers.utils.logging
        bars = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()  # our own progress is shown
        placed = _placed(self.device) if self.dtype == "auto" else {}
        try:
            processor = processor_of(folder)
            model: Any = transformers.AutoModelForImageTextToText.from_pretrained(
                folder, local_files_only=True, dtype=self.dtype, **placed
            )
            if adapter != folder:
                model = _adapted(model, adapter)
        except UserError:
            raise
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            what = " ".join(str(error).split())[:160] or type(error).__name__
            raise UserError(
                f"{self.where} cannot be opened as a model that reads pictures and text: {what}"
            ) from error
        finally:
            if bars:
                logging.enable_progress_bar()
        if not hasattr(model, "hf_device_map") and not getattr(model, "is_quantized", False):
            model = model.to(_device(self.device))
        return model.eval(), processor

    def base(self) -> Path:
        """The folder with the whole model: for a LoRA adapter, of the model that it was learned on."""
        folder = folder_of(self.where, self.download)
        if (folder / ADAPTER).is_file():
            folder = self._base_of(folder)
        if not (folder / "config.json").is_file():
            raise UserError(f"{self.where} is not a model folder: it has no config.json")
        if not any(path.stat().st_size for pattern in _WEIGHTS for path in folder.glob(pattern)):
            raise UserError(f"{self.where} has no weights: there is no .safetensors file in it")
        return folder

    def _base_of(self, adapter: Path) -> Path:
        try:
            name = str(json.loads((adapter / ADAPTER).read_text("utf-8"))["base_model_name_or_path"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{adapter / ADAPTER} does not name the model that it adapts") from error
        try:
            return folder_of(name, self.download)
        except UserError as error:
            raise UserError(f"{self.where} adapts another model: {error}") from error


def folder_of(where: str, download: bool = False) -> Path:
    """Where the files of a folder or a hub name are. Nothing is downloaded unless the user allowed it."""
    folder = Path(where).expanduser()
    return folder if folder.is_dir() else _cached(where, download)


def _cached(where: str, download: bool) -> Path:
    import huggingface_hub
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    if where.startswith((".", "/", "~")):
        raise UserError(f"there is no folder {where}")
    try:
        return Path(huggingface_hub.snapshot_download(where, local_files_only=not download))
    except HFValidationError as error:
        raise UserError(f"there is no folder {where}, and no model is named so") from error
    except (LocalEntryNotFoundError, OSError) as error:
        raise UserError(
            f"{where} is not on this machine, and nothing is downloaded unasked; get it with:  hf download {where}"
        ) from error


def _adapted(model: Any, folder: Path) -> Any:
    """With a LoRA adapter, which stays apart: in bfloat16, or in 4 bits, a sum would lose some of it."""
    try:
        import peft
    except ImportError as error:
        raise UserError(
            f"{folder} is a LoRA adapter, which needs a package that is not here ({error.name}); install it with:  "
            "pip install 'reasound[train]'"
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft's own, of names that transformers has changed
        return peft.PeftModel.from_pretrained(model, str(folder))


def processor_of(folder: Path) -> Any:
    """The processor of a model folder without its part for videos, which cannot be had without torchvision."""
    import transformers
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
    if type(config) not in PROCESSOR_MAPPING:
        raise ValueError(f"a {config.model_type!r} model has no processor of pictures and text")
    kind: Any = PROCESSOR_MAPPING[type(config)]

    def check(self: Any, name: str, part: object) -> object:
        return None if name == "video_processor" else kind.check_argument_for_proper_class(self, name, part)

    # Processors insist on a real video processor, whose class is a placeholder that raises where torchvision is not.
    stills: Any = type(kind.__name__, (kind,), {"check_argument_for_proper_class": check})
    parts = {
        "tokenizer": transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True),
        "image_processor": transformers.AutoImageProcessor.from_pretrained(
            folder, local_files_only=True, backend="pil"
        ),
        "video_processor": _NoVideos(),
    }
    fields, _ = kind.get_processor_dict(folder, local_files_only=True)
    wanted = inspect.signature(kind.__init__).parameters
    set_by_file = {key: value for key, value in fields.items() if key in wanted and key not in parts}
    processor = stills(**{name: parts[name] for name in kind.get_attributes()}, **set_by_file)
    if processor.chat_template is None:
        processor.chat_template = parts["tokenizer"].chat_template
    if processor.chat_template is None:
        raise ValueError("it has no chat template, so it cannot be asked anything")
    return processor


class _NoVideos:
    """Stands where a video processor would."""

    num_frames, fps = 0, 0


def _said(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": text}]}


def _streamer(tokenizer: Any, progress: Progress) -> Any:
    """Tells `progress` the text so far, word by word."""
    from transformers import TextStreamer

    class Told(TextStreamer):
        def __init__(self) -> None:
            super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
            self.text = ""

        def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
            self.text += text
            progress(self.text)

    return Told()


def _device(asked: str) -> str:
    import torch

    if asked != "auto":
        return asked
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _placed(device: str) -> dict[str, Any]:
    """In 4 bits on a graphics card where bitsandbytes is installed: a quarter of the memory, hardly other answers."""
    there = all(importlib.util.find_spec(name) for name in ("bitsandbytes", "accelerate"))
    if _device(device) != "cuda" or not there:
        return {}
    import torch
    from transformers import BitsAndBytesConfig

    four = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
    )
    return {"quantization_config": four, "device_map": "cuda"}

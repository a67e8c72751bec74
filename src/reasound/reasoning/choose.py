"""From a name that a user types to a reasoner."""

from __future__ import annotations

import re
from typing import Literal

from reasound.errors import UserError
from reasound.reasoning.caption import Encoder
from reasound.reasoning.reasoner import Reasoner
from reasound.reasoning.rules import RulesReasoner

EMBEDDED = ("rules", "pocket")
"""Those that are always here."""
UNREAD = "{!r} is not in English, so it was not read; write it in English, or let a larger model reason (--reasoner)."
NAMES = "rules, pocket, mllm:FOLDER_OR_HUB_NAME or remote:MODEL@URL"
_REMOTE = re.compile(r"(?P<model>[^@\s]\S*)@(?P<url>https?://\S+)", re.IGNORECASE)


def open_reasoner(
    name: str,
    text_encoder: Encoder | None = None,
    *,
    fallback: Literal["", "rules"] = "",
    download: bool = False,
) -> Reasoner:
    """The reasoner of that name: rules, pocket, mllm:FOLDER_OR_HUB_NAME or remote:MODEL@URL.

    `fallback`: who answers when a large model cannot; by default nobody, and the UserError is shown. `download`: the
    user allowed to get a model from the hub. Nothing is loaded and nobody is asked before the first plan. UserError for
    other names.
    """
    rules = RulesReasoner(text_encoder)
    second = rules if fallback else None
    kind, _, rest = name.partition(":")
    if name == "rules":
        return rules
    if name == "pocket":
        from reasound.reasoning.pocket.reasoner import PocketReasoner

        return PocketReasoner.load()
    if kind == "mllm" and rest:
        from reasound.reasoning.mllm import Mllm

        return Mllm(rest, second, download=download)
    if kind == "remote" and (found := _REMOTE.fullmatch(rest)):
        from reasound.reasoning.remote import Remote

        return Remote(found["model"], found["url"], second)
    raise UserError(f"there is no reasoner {name!r}; it is one of {NAMES}")


def reads(name: str, text: str) -> bool:
    """Whether the reasoner of that name can make anything of a text: the embedded ones know English alone."""
    return name not in EMBEDDED or not text.strip() or re.search("[a-z]", text.lower()) is not None

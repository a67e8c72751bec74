"""Paraphrases of edit instructions with their one right answer, made on the fly by composing templates.

Words and templates are in `tables/`; `asking.py` makes one request, `naming.py` names its targets, `amount_words.py`
says when and how much, `noise.py` how it is typed. What is meant where no amount is said stands in
`reasoning/instructions/amounts.py`.
"""

from __future__ import annotations

from reasound.data.instructions.drawing import Example, draw

__all__ = ["Example", "draw"]

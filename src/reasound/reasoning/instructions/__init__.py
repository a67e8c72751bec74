"""What an instruction means: plain English to an EditPlan by rules, for `rules`, as a teacher and as a fallback."""

from reasound.reasoning.instructions.reading import understand, understand_sure

__all__ = ["understand", "understand_sure"]

"""The language of conditions: ``profile_completion < 50 and user.locale in ["en", "fr"]``.

It compares, calculates and combines values of the event, the person and earlier steps. It cannot call,
assign, loop or reach anything but these plain values.
"""

from workflows.expressions.errors import ExpressionError
from workflows.expressions.evaluator import Evaluation, Names, evaluate
from workflows.expressions.parser import parse

__all__ = ["Evaluation", "ExpressionError", "Names", "evaluate", "parse"]

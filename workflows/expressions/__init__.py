"""The language of conditions: ``profile_completion < 50 and user.locale in ["en", "fr"]``.

It compares, calculates and combines values of the event, the person and earlier steps, moments and lengths of time.
It calls the functions of ``functions`` alone, and cannot assign, loop or reach anything but these plain values.
"""

from workflows.expressions.checking import Environment, TypeProblem, check_types
from workflows.expressions.errors import ExpressionError
from workflows.expressions.evaluator import Evaluation, Names, evaluate
from workflows.expressions.parser import parse

__all__ = [
    "Environment",
    "Evaluation",
    "ExpressionError",
    "Names",
    "TypeProblem",
    "check_types",
    "evaluate",
    "parse",
]

"""Minimizes a smooth function of many variables: limited-memory BFGS (Nocedal and Wright, Numerical Optimization, 7.2).

SciPy has it, too, but is not among edgenet's requirements.
"""

from collections.abc import Callable

import numpy as np

# Pairs of steps and changes of the gradient that are remembered.
MEMORY = 10
# Of the line search: the decrease that is enough (Armijo), and how often the step is made smaller.
DECREASE, MAX_HALVINGS = 1e-4, 20


def minimize(
    function: Callable[[np.ndarray], tuple[float, np.ndarray]],
    start: np.ndarray,
    *,
    max_steps: int = 200,
    tolerance: float = 1e-4,
) -> np.ndarray:
    """Find the minimum of a convex function.

    Args:
        function: From the variables, float64 (n,), to its value and its gradient (n,).
        start: Where the search begins, (n,).
        max_steps: Stop after so many steps.
        tolerance: Stop when no part of the gradient is larger, or a step brings less than its square, relatively.

    Returns:
        The variables, float64 (n,).
    """
    point = start.astype(np.float64)
    value, gradient = function(point)
    pairs: list[tuple[np.ndarray, np.ndarray, float]] = []
    for _ in range(max_steps):
        if np.abs(gradient).max() <= tolerance:
            break
        direction = -_scaled(gradient, pairs)
        slope = float(gradient @ direction)
        if slope >= 0:  # rounding: begin anew
            pairs, direction, slope = [], -gradient, -float(gradient @ gradient)
        length = 1.0 if pairs else min(1.0, 1.0 / float(np.linalg.norm(gradient)))
        for _ in range(MAX_HALVINGS):
            new = point + length * direction
            new_value, new_gradient = function(new)
            if new_value <= value + DECREASE * length * slope:
                break
            length /= 2
        else:
            break  # as exact as the arithmetic allows
        step, change = new - point, new_gradient - gradient
        if (curvature := float(step @ change)) > 1e-12 * float(change @ change):
            pairs = [*pairs[-(MEMORY - 1) :], (step, change, 1.0 / curvature)]
        small = value - new_value <= tolerance**2 * max(abs(value), 1.0)
        point, value, gradient = new, new_value, new_gradient
        if small:
            break
    return point


def _scaled(gradient: np.ndarray, pairs: list[tuple[np.ndarray, np.ndarray, float]]) -> np.ndarray:
    """The gradient times the inverse Hessian, as far as it is known: the two-loop recursion."""
    result = gradient.copy()
    weights = []
    for step, change, inverse in reversed(pairs):
        weights.append(inverse * float(step @ result))
        result -= weights[-1] * change
    if pairs:
        step, change, _ = pairs[-1]
        result *= float(step @ change) / float(change @ change)
    for (step, change, inverse), weight in zip(pairs, reversed(weights), strict=True):
        result += (weight - inverse * float(change @ result)) * step
    return result

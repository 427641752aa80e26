"""Ask before doing something that cannot be undone."""

from __future__ import annotations


def is_confirmed(question: str) -> bool:
    """Ask, and return whether the answer is yes; no answer means no."""
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False

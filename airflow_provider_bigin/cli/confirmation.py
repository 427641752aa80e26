"""Asking before something is done that cannot be undone."""

from __future__ import annotations


def is_confirmed(question: str) -> bool:
    """Ask, and tell whether the answer is yes; no answer is none."""
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False

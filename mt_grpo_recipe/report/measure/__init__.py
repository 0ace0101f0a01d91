"""Typed runs to numbers, regardless of how they are shown."""

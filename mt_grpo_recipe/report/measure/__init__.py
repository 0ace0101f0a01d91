"""Typed runs to numbers, without a word on how they are shown."""

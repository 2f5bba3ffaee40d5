"""Typed, strict, frozen views of the parameter files."""

"""Operators: thin tasks over the hook."""

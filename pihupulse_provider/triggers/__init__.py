"""Triggers: what waits in a triggerer."""

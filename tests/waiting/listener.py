"""What a wait says while it goes on."""

from __future__ import annotations


class Listener:
    """A log that keeps its lines."""

    def __init__(self):
        self.lines = []

    def warning(self, event, *args):
        self.lines.append(event % args)

    info = warning

"""``python -m pihupulse_provider.webhooks``: receives webhooks, and looks after what was received."""

from __future__ import annotations

from importlib import import_module

if __name__ == "__main__":
    import_module("pihupulse_provider.cli.main").main()

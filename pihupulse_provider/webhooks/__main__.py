"""Receives webhooks, and looks after what was received: see ``--help``."""

from __future__ import annotations

from pihupulse_provider.cli.main import main

if __name__ == "__main__":
    main()

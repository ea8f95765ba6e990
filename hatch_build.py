"""Makes the README of the package: its links lead to files of the repository, which a package index does not have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_REPLACED = (
    (r"\n## Read on\n.*", ""),
    (r" \[How\]\(docs/[^)]*\)", ""),
    (r"\[([^]]*)\]\((?!https?://)[^)]*\)", r"\1"),
)


class ReadmeHook(MetadataHookInterface):
    """Sets the field ``readme``."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Keep only the links that lead to the web."""
        text = Path(self.root, "README.md").read_text("utf-8")
        for pattern, replacement in _REPLACED:
            text = re.sub(pattern, replacement, text, flags=re.DOTALL)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}

"""How Sphinx builds the documentation; nothing in it is fetched from elsewhere."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from pihupulse_provider import __version__

# Airflow writes its configuration to its home when it is imported, as autodoc does.
os.environ["AIRFLOW_HOME"] = str(Path(__file__).parent / "_build" / "airflow")
logging.getLogger("airflow").setLevel(logging.WARNING)

project = "PihuPulse for Apache Airflow"
author = "The authors of airflow-provider-pihupulse"
copyright = f"2026, {author}"  # noqa: A001 - Sphinx's own name
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "PihuPulse for Airflow"
html_show_sphinx = False
html_copy_source = False

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_class_signature = "mixed"
add_module_names = False
python_use_unqualified_type_names = True

copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True
copybutton_remove_prompts = True

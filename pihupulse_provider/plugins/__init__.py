"""What Airflow loads as plugins."""

from __future__ import annotations

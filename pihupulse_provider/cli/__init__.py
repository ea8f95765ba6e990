"""Commands: ``airflow pihupulse …`` from Airflow 3.2, ``python -m pihupulse_provider.webhooks …`` everywhere."""

from __future__ import annotations

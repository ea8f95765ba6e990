"""Airflow's way to PihuPulse."""

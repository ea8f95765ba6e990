"""PihuPulse for Apache Airflow: import candidates, run screenings, wait for them, land the results."""

__version__ = "1.0.0"

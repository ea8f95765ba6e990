"""Creating once, one object or a million, and reading everything back; without Airflow."""

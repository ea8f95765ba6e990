"""Creating candidates and screenings, each exactly once, one or a million; without Airflow."""

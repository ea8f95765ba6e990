"""Reading whole lists out of PihuPulse, and writing files that appear whole or not at all; without Airflow."""

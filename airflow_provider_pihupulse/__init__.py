"""Where Airflow looks for the provider's example DAGs.

From 3.3 on it makes a module's name out of the distribution's, and takes its folder ``example_dags`` for examples. The
wheel has them there, from ``dags_examples``. The provider itself is ``pihupulse_provider``.
"""

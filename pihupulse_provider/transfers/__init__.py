"""Transfers from and to databases and object storage."""

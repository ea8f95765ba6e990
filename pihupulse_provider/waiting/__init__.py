"""Waiting for screenings: what is awaited, how it is judged, and how to look with as few requests as possible."""

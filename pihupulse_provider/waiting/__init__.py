"""Waiting for screenings: what is waited for, how it is judged, and how to poll with as few requests as possible."""

"""Made-up people, and whether something tells who they are."""

from __future__ import annotations

from typing import Any

ALEX = {
    "name": "Alexandrine Quillfeather",
    "email": "alexandrine.quillfeather@example.com",
    "phone": "+14155552671",
    "resume_url": "https://files.example.com/resumes/quillfeather.pdf",
}
JANE = {
    "name": "Janetta Umbrascott",
    "email": "janetta.umbrascott@example.org",
    "phone": "+442079460958",
    "resume_url": "https://files.example.com/resumes/umbrascott.pdf",
}


def holds_any(shown: Any, *people: dict[str, str]) -> bool:
    """Return whether any of these people's fields, or a part of their names, is in what is shown."""
    text = str(shown).casefold()
    words = {value.casefold() for person in people for value in (*person.values(), *person["name"].split())}
    return any(word in text for word in words)


def send_mail(to: Any, *_args: Any, **_rest: Any) -> None:
    """Stand where Airflow's settings name a mail backend."""

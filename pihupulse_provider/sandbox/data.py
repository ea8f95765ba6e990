"""Plausible content: people, skills, templates, reports. The same seed gives the same content."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

GIVEN_NAMES = (  # noqa: SIM905 - a name a line would be longer than all the rest
    "Aarav Aisha Amara Ana Anders Astrid Bao Beatriz Camille Carlos Chen Chidi Daniela Diego Elena Emeka Fatima "
    "Freya Gabriel Hana Hiro Ingrid Isla Ivan Jamal Jana Kavya Kenji Lars Leila Liam Lucia Mateo Mei Minh Nadia "
    "Noor Olga Omar Priya Rafael Rosa Samir Sofia Tariq Thandi Tomas Uma Viktor Yara Yuki Zanele"
).split()
FAMILY_NAMES = (  # noqa: SIM905 - likewise
    "Abara Adeyemi Ahmed Andersen Baker Bauer Castro Chen Costa Diaz Dubois Eriksen Fernandes Fischer Garcia "
    "Gupta Haddad Hansen Ivanova Jensen Kaur Khan Kim Kowalski Larsen Lopez Mbeki Mehta Moreau Mueller Nakamura "
    "Nguyen Novak Okafor Olsen Park Patel Pereira Popov Rao Rossi Santos Sato Schmidt Silva Singh Tanaka Tran "
    "Wang Weber Yilmaz Zhang"
).split()
INSTITUTIONS = (
    "University of Technology",
    "National Institute of Science",
    "City College",
    "Open University",
    "Polytechnic School",
)
DEGREES = (
    "Bachelor of Computer Science",
    "Master of Software Engineering",
    "Bachelor of Information Systems",
    "Master of Data Science",
    "Bachelor of Mathematics",
)

STRENGTHS = (
    "Problem-solving approach",
    "Code organization",
    "Clear explanations",
    "Testing habits",
    "Reasoning about trade-offs",
)
IMPROVEMENTS = (
    "Edge cases",
    "Performance considerations",
    "Naming",
    "Error handling",
    "Time management",
)
RECOMMENDATIONS = (
    (80, "Recommended for next interview stage"),
    (65, "Consider for next interview stage"),
    (0, "Not recommended for next interview stage"),
)


@dataclass(frozen=True)
class Template:
    """A screening template; the times are written as the API writes them."""

    id: str
    name: str
    description: str
    duration_minutes: int
    question_count: int
    created_at: str
    updated_at: str
    skills: tuple[str, ...] = ("Problem solving", "Communication", "System design")

    def shown(self) -> dict[str, Any]:
        """Return the template as the API lists it."""
        return {
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "duration_minutes": self.duration_minutes,
            "question_count": self.question_count,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


TEMPLATES = (
    Template(
        "t54321",
        "Frontend Developer",
        "Screening for frontend development skills",
        30,
        15,
        "2022-12-10T08:30:00Z",
        "2023-01-05T14:20:00Z",
        ("JavaScript", "React", "CSS"),
    ),
    Template(
        "t54322",
        "Backend Developer",
        "Screening for backend development skills",
        45,
        20,
        "2022-12-15T10:45:00Z",
        "2023-01-10T16:30:00Z",
        ("Python", "SQL", "API design"),
    ),
    Template(
        "t54323",
        "Data Engineer",
        "Screening for data engineering skills",
        45,
        18,
        "2023-01-09T09:00:00Z",
        "2023-01-12T11:15:00Z",
        ("SQL", "Airflow", "Data modelling"),
    ),
)
"""The two templates of the API reference, and one more."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who a generated candidate is."""

    name: str
    email: str
    phone: str


def draw(seed: int, *salt: object) -> int:
    """Return a number between 0 and 2**32 - 1 that depends on the seed and the salt alone."""
    return zlib.crc32(repr((seed, *salt)).encode())


def pick(options: Sequence[T], seed: int, *salt: object) -> T:
    """Return one of the options."""
    return options[draw(seed, *salt) % len(options)]


def person(seed: int, serial: int) -> Person:
    """Return the person behind a generated candidate; no two serials share an email address."""
    given = pick(GIVEN_NAMES, seed, serial, "given")
    family = pick(FAMILY_NAMES, seed, serial, "family")
    email = f"{given}.{family}.{serial}@example.com".lower()
    return Person(f"{given} {family}", email, f"+1555{serial:07d}")


def background(seed: int, serial: int) -> dict[str, Any]:
    """Return skills, experience and education, as ``GET /candidates/:id`` shows them."""
    template = pick(TEMPLATES, seed, serial, "field")
    years = draw(seed, serial, "years") % 18
    return {
        "skills": list(template.skills),
        "experience_years": years,
        "education": [
            {
                "institution": pick(INSTITUTIONS, seed, serial, "institution"),
                "degree": pick(DEGREES, seed, serial, "degree"),
                "year": 2023 - years,
            }
        ],
    }


def score_of(seed: int, serial: int) -> int:
    """Return a score between 40 and 98, most often near the middle."""
    return 40 + sum(draw(seed, serial, part) % 30 for part in ("first", "second"))


def recommendation_for(score: int) -> str:
    """Return what the report recommends."""
    return next(text for least, text in RECOMMENDATIONS if score >= least)


def findings(seed: int, serial: int, name: str, template: Template, score: int) -> dict[str, Any]:
    """Return the part of a report that depends on the score."""
    skills = [_skill_score(seed, serial, skill, score) for skill in template.skills]
    ranked = sorted(skills, key=lambda entry: -entry["score"])
    return {
        "completion_time_minutes": max(1, template.duration_minutes * (60 + draw(seed, serial, "time") % 50) // 100),
        "skill_scores": skills,
        "summary": _summary(name, ranked[0]["skill"], ranked[-1]["skill"]),
        "strengths": [pick(STRENGTHS, seed, serial, "strength")],
        "areas_for_improvement": [pick(IMPROVEMENTS, seed, serial, "improvement")],
        "recommendation": recommendation_for(score),
    }


def _summary(name: str, best: str, worst: str) -> str:
    given_name = name.split(maxsplit=1)[0]
    return f"{given_name} did best in {best}; {worst} could be improved."


def _skill_score(seed: int, serial: int, skill: str, score: int) -> dict[str, Any]:
    deviation = draw(seed, serial, skill) % 21 - 10
    return {"skill": skill, "score": min(100, max(0, score + deviation)), "max_score": 100}

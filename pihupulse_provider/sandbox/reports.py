"""Scores and reports: plausible, and the same each time they are read."""

from __future__ import annotations

from typing import Any

from pihupulse_provider.sandbox.data import Template, draw, pick

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

"""The examples of the PihuPulse API reference, as they stand there, under the names of its sections."""

from __future__ import annotations

from typing import Any

ERROR: dict[str, Any] = {
    "error": {
        "code": "invalid_request",
        "message": "The candidate ID is invalid or not found",
        "status": 404,
        "details": {"candidate_id": "c12345"},
    }
}

LIST_CANDIDATES: dict[str, Any] = {
    "data": [
        {
            "id": "c12345",
            "name": "John Doe",
            "email": "john.doe@example.com",
            "phone": "+1234567890",
            "status": "active",
            "created_at": "2023-01-15T10:30:00Z",
            "updated_at": "2023-01-15T10:30:00Z",
        },
        {
            "id": "c12346",
            "name": "Jane Smith",
            "email": "jane.smith@example.com",
            "phone": "+1987654321",
            "status": "active",
            "created_at": "2023-01-16T14:20:00Z",
            "updated_at": "2023-01-16T14:20:00Z",
        },
    ],
    "meta": {"current_page": 1, "total_pages": 5, "total_count": 98, "per_page": 20},
}

GET_CANDIDATE: dict[str, Any] = {
    "data": {
        "id": "c12345",
        "name": "John Doe",
        "email": "john.doe@example.com",
        "phone": "+1234567890",
        "status": "active",
        "resume_url": "https://storage.pihupulse.com/resumes/c12345.pdf",
        "skills": ["JavaScript", "React", "Node.js"],
        "experience_years": 5,
        "education": [
            {
                "institution": "University of Technology",
                "degree": "Bachelor of Computer Science",
                "year": 2018,
            }
        ],
        "screenings": [{"id": "s67890", "status": "completed", "score": 85, "completed_at": "2023-01-20T15:45:00Z"}],
        "created_at": "2023-01-15T10:30:00Z",
        "updated_at": "2023-01-20T15:45:00Z",
    }
}

CREATE_CANDIDATE_BODY: dict[str, Any] = {
    "name": "Alex Johnson",
    "email": "alex.johnson@example.com",
    "phone": "+1122334455",
    "resume_url": "https://example.com/resumes/alex_johnson.pdf",
}

CREATE_CANDIDATE: dict[str, Any] = {
    "data": {
        "id": "c12347",
        "name": "Alex Johnson",
        "email": "alex.johnson@example.com",
        "phone": "+1122334455",
        "status": "active",
        "resume_url": "https://storage.pihupulse.com/resumes/c12347.pdf",
        "created_at": "2023-01-22T09:15:00Z",
        "updated_at": "2023-01-22T09:15:00Z",
    }
}
"""Without the lines that the reference's sample repeats in the middle of ``created_at``."""

GARBLED_CREATE_CANDIDATE = """{
  "data": {
    "id": "c12347",
    "name": "Alex Johnson",
    "email": "alex.johnson@example.com",
    "phone": "+1122334455",
    "status": "active",
    "resume_url": "https://storage.pihupulse.com/resumes/c12347.pdf",
    "created_at  "active",
    "resume_url": "https://storage.pihupulse.com/resumes/c12347.pdf",
    "created_at": "2023-01-22T09:15:00Z",
    "updated_at": "2023-01-22T09:15:00Z"
  }
}"""
"""The same sample as it stands in the reference: no JSON."""

LIST_SCREENINGS: dict[str, Any] = {
    "data": [
        {
            "id": "s67890",
            "candidate_id": "c12345",
            "template_id": "t54321",
            "status": "completed",
            "score": 85,
            "started_at": "2023-01-20T15:00:00Z",
            "completed_at": "2023-01-20T15:45:00Z",
        },
        {
            "id": "s67891",
            "candidate_id": "c12346",
            "template_id": "t54321",
            "status": "pending",
            "score": None,
            "started_at": None,
            "completed_at": None,
        },
    ],
    "meta": {"current_page": 1, "total_pages": 3, "total_count": 42, "per_page": 20},
}

CREATE_SCREENING_BODY: dict[str, Any] = {
    "candidate_id": "c12347",
    "template_id": "t54321",
    "job_title": "Senior Frontend Developer",
    "send_invitation": True,
}

LIST_TEMPLATES: dict[str, Any] = {
    "data": [
        {
            "id": "t54321",
            "name": "Frontend Developer",
            "description": "Screening for frontend development skills",
            "duration_minutes": 30,
            "question_count": 15,
            "created_at": "2022-12-10T08:30:00Z",
            "updated_at": "2023-01-05T14:20:00Z",
        },
        {
            "id": "t54322",
            "name": "Backend Developer",
            "description": "Screening for backend development skills",
            "duration_minutes": 45,
            "question_count": 20,
            "created_at": "2022-12-15T10:45:00Z",
            "updated_at": "2023-01-10T16:30:00Z",
        },
    ]
}

GET_REPORT: dict[str, Any] = {
    "data": {
        "screening_id": "s67890",
        "candidate_id": "c12345",
        "candidate_name": "John Doe",
        "template_id": "t54321",
        "template_name": "Frontend Developer",
        "score": 85,
        "completion_time_minutes": 38,
        "completed_at": "2023-01-20T15:45:00Z",
        "skill_scores": [
            {"skill": "JavaScript", "score": 90, "max_score": 100},
            {"skill": "React", "score": 85, "max_score": 100},
            {"skill": "CSS", "score": 80, "max_score": 100},
        ],
        "summary": (
            "John demonstrated strong JavaScript and React skills. His CSS knowledge is good but could be improved. "
            "Overall, he shows a solid understanding of frontend development concepts."
        ),
        "strengths": ["Problem-solving approach", "Code organization", "React component architecture"],
        "areas_for_improvement": ["CSS animations", "Responsive design patterns"],
        "recommendation": "Recommended for next interview stage",
    }
}

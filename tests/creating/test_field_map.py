"""Which columns of a source make which fields of a candidate."""

from __future__ import annotations

from pihupulse_provider.api import NewCandidate
from pihupulse_provider.creating.field_map import FIELDS, REQUIRED


def test_the_fields_are_those_that_a_new_candidate_has():
    fields = NewCandidate.model_fields
    assert tuple(fields) == FIELDS
    assert tuple(name for name, field in fields.items() if field.is_required()) == REQUIRED

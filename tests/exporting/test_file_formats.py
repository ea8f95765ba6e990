"""What is written is what there was, runs nowhere, and is only its owner's to read."""

from __future__ import annotations

import csv
import io
import json
import sys

import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pihupulse_provider.api import ConfigurationError
from pihupulse_provider.api.models import Candidate, Report, Template
from pihupulse_provider.creating.candidate_input import CandidateInput
from pihupulse_provider.creating.readers import FileFormat
from pihupulse_provider.exporting.atomic_file import StorageError
from pihupulse_provider.exporting.file_formats import format_of, open_writer


def written(name, rows, **how):
    file = io.BytesIO()
    with open_writer(name, file, type(rows[0]), frozenset(), **how) as writer:
        writer.write(rows)
    return file.getvalue()


def names_in_csv(*names, **how):
    rows = [Candidate(id=f"c{n}", name=name) for n, name in enumerate(names)]
    text = written("csv", rows, **how).decode()
    return [row["name"] for row in csv.DictReader(io.StringIO(text, newline=""), strict=True)]


class TestCsv:
    @pytest.mark.parametrize(
        "name", ["Ana\rCosta", "Ana\r\nc9,Eve,eve@example.org", "Ana\nCosta", 'Ana "A" Costa', "\r"]
    )
    def test_a_line_end_in_a_value_makes_no_row(self, name):
        assert names_in_csv("Zoe", name, "Bo") == ["Zoe", name, "Bo"]

    @pytest.mark.parametrize(
        ("name", "cell"),
        [
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("+cmd|x", "'+cmd|x"),
            ("-2+cmd|x", "'-2+cmd|x"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=cmd|x", "'\t'=cmd|x"),
            ("  =cmd|x", "'  =cmd|x"),
            ("\uff1dcmd|x", "'\uff1dcmd|x"),
            ("Ana;=cmd|x", "Ana;'=cmd|x"),
            ("Ana\n=cmd|x", "Ana\n'=cmd|x"),
        ],
    )
    def test_a_formula_is_text_by_default(self, name, cell):
        assert names_in_csv(name) == [cell]
        assert names_in_csv(name, neutralise=False) == [name]

    @pytest.mark.parametrize(
        "value", ["+351 912 345 678", "+1 (541) 754-3010", "-5", "Ana-Maria", "a=b", "ana@example.org"]
    )
    def test_what_runs_nowhere_stays_as_it_is(self, value):
        assert names_in_csv(value) == [value]

    def test_what_is_no_text_stays_as_it_is(self):
        text = written("csv", [Report(screening_id="s1", score=-5, strengths=["=x"])]).decode()
        [row] = csv.DictReader(io.StringIO(text, newline=""))
        assert (row["score"], json.loads(row["strengths"])) == ("-5", ["=x"])

    def test_a_list_begins_no_formula_behind_a_semicolon(self):
        text = written("csv", [Report(screening_id="s1", strengths=["x;=cmd|x", "a;b"])]).decode()
        [row] = csv.DictReader(io.StringIO(text, newline=""))
        assert json.loads(row["strengths"]) == ["x;'=cmd|x", "a;b"]

    @given(st.lists(st.text(), min_size=1, max_size=4))
    def test_any_name_comes_back(self, names):
        assert names_in_csv(*names, neutralise=False) == names

    @given(st.text(st.sampled_from("=+-@\t\r\n ;,'\"a1")))
    def test_no_cell_begins_a_formula(self, name):
        [cell] = names_in_csv(name)
        harmless = not any(one.isalpha() or one in "=@" for one in cell)
        assert harmless or not cell.lstrip().startswith(("=", "+", "-", "@"))

    def test_an_import_takes_the_apostrophe_off_again(self):
        person = {"name": "=Ana", "email": "+ana@example.org", "phone": "+15417543010"}
        content = written("csv", [Candidate(id="c1", **person)])
        with FileFormat().reading("people.csv", io.BytesIO(content)) as source:
            [row] = source.rows
        assert CandidateInput().read(row.values).model_dump(exclude_none=True) == person


class TestParquet:
    @pytest.mark.parametrize(
        "row",
        [
            Template(id="t1", question_count=2**63),
            Template(id="t1", duration_minutes=10**400),
            Template(id="t1", question_count=-(10**400)),
        ],
    )
    def test_a_value_that_it_has_no_place_for_is_named(self, row):
        [field] = row.model_fields_set - {"id"}
        with pytest.raises(StorageError, match=rf"no place for the {field} of t1: export it as JSON Lines or CSV\."):
            written("parquet", [Template(id="t0", question_count=5), row])

    def test_the_earliest_and_the_latest_moments_have_a_place(self):
        moments = ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"]
        rows = [Candidate.model_validate({"id": "c1", "created_at": moment}) for moment in moments]
        table = pyarrow.parquet.read_table(io.BytesIO(written("parquet", rows)))
        assert [moment.isoformat() for moment in table["created_at"].to_pylist()] == [
            "0001-01-01T00:00:00+00:00",
            "9999-12-31T23:59:59.999999+00:00",
        ]

    def test_without_pyarrow_it_says_how_to_install_it(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(ConfigurationError, match=r"pip install .*\[parquet\]"):
            written("parquet", [Candidate(id="c1")])


@pytest.mark.parametrize(
    ("path", "given", "name"),
    [
        ("s3://bucket/People.CSV", None, "csv"),
        ("people.NDJSON", None, "jsonl"),
        ("people.pq", None, "parquet"),
        ("people.csv", "JSONL", "jsonl"),
        ("people", "csv", "csv"),
    ],
)
def test_the_format_of_a_file(path, given, name):
    assert format_of(path, given) == name


@pytest.mark.parametrize(
    ("path", "given", "said"),
    [
        ("people.json", None, "one object on each line"),
        ("people", None, "set format"),
        ("x.csv", "xml", "choose one of"),
    ],
)
def test_a_format_that_nobody_can_tell(path, given, said):
    with pytest.raises(ConfigurationError, match=said):
        format_of(path, given)

"""Rows out of files and lists."""

from __future__ import annotations

import gzip
import io

import pyarrow
import pyarrow.parquet
import pytest

from pihupulse_provider.api import ConfigurationError
from pihupulse_provider.creating.errors import SourceError
from pihupulse_provider.creating.readers import FileFormat, read_records

TEXT = 'name,email\nÅsa Öberg,asa@example.com\n"Long\nName",long@example.com\n'
ROWS = [
    {"name": "Åsa Öberg", "email": "asa@example.com"},
    {"name": "Long\nName", "email": "long@example.com"},
]


def read(name, content, **how):
    with FileFormat(**how).reading(name, io.BytesIO(content)) as source:
        return list(source.rows)


def values(rows):
    return [dict(row.values) for row in rows]


@pytest.mark.parametrize(
    ("encoding", "told"),
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("utf-16", "utf-16"), ("latin-1", "latin-1"), ("cp1252", "cp1252")],
)
def test_csv_in_any_encoding_that_is_told(encoding, told):
    assert values(read("people.csv", TEXT.encode(encoding), encoding=told)) == ROWS


def test_packed_files_are_unpacked():
    assert values(read("people.csv.gz", gzip.compress(TEXT.encode()))) == ROWS


def test_another_delimiter():
    assert values(read("people.csv", b"name;email\nA;a@example.com\n", delimiter=";")) == [
        {"name": "A", "email": "a@example.com"}
    ]


def test_json_lines_keep_their_count_over_bad_lines():
    rows = read("people.jsonl", b'{"name": "A"}\n\nnot json\n[1]\n{"name": "B"}\n')
    assert [(row.number, row.reason) for row in rows] == [
        (1, None),
        (2, "is not JSON"),
        (3, "is not a JSON object"),
        (4, None),
    ]


def test_parquet():
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), file)
    assert values(read("people.parquet", file.getvalue())) == ROWS


def test_a_format_that_is_told_is_believed_over_the_name():
    assert values(read("people.txt", TEXT.encode(), format="csv")) == ROWS


def test_a_line_with_too_many_fields_is_refused_alone():
    rows = read("people.csv", b"name,email\nA,a@example.com,extra\nB,b@example.com\n")
    assert [row.reason for row in rows] == ["has 3 fields where the first line names 2", None]


def test_records_that_are_none():
    assert [row.reason for row in read_records([{"name": "A"}, "B"]).rows] == [None, "is not a mapping of fields"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("people.csv", "name,email\nÅsa,a@example.com\n".encode("latin-1"), "set encoding"),
        ("people.csv", b"", "name its columns|names its columns"),
        ("people.csv", b"email,email\n", "names a column twice"),
        ("people.csv", b'name,email\n"A,a@example.com\n', "can't be read after line"),
        ("people.csv.gz", b"not gzip", "can't be read after line 0"),
        ("people.csv.gz", gzip.compress(TEXT.encode() * 1000)[:80], "can't be read after line"),
        ("people.parquet", b"not parquet", "Parquet file can't be read"),
    ],
)
def test_a_broken_file_is_an_error_that_says_where(name, content, said):
    with pytest.raises(SourceError, match=said) as caught:
        read(name, content)
    assert "example.com" not in str(caught.value)


def test_a_name_that_tells_no_format():
    with pytest.raises(ConfigurationError, match="set format"):
        read("people", b"")

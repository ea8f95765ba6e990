"""Rows out of files and lists."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import tracemalloc

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pihupulse_provider.api import ConfigurationError
from pihupulse_provider.creating.candidate_input import CandidateInput
from pihupulse_provider.creating.cell_text import NotTextError, Unreadable, cell_text
from pihupulse_provider.creating.errors import InvalidCandidateError, SourceError
from pihupulse_provider.creating.readers import FileFormat, read_records

TEXT = 'name,email\nÅsa Öberg,asa@example.com\n"Long\nName",long@example.com\n'
ROWS = [
    {"name": "Åsa Öberg", "email": "asa@example.com"},
    {"name": "Long\nName", "email": "long@example.com"},
]


class DataFrame(list):
    """As those of pandas and Polars: its items are its columns."""

    @property
    def columns(self):
        return list(self)


def read(name, content, **how):
    with FileFormat(**how).reading(name, io.BytesIO(content)) as source:
        return list(source.rows)


def values(rows):
    return [dict(row.values) for row in rows]


@pytest.mark.parametrize(
    ("encoding", "named"),
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("utf-16", "utf-16"), ("latin-1", "latin-1"), ("cp1252", "cp1252")],
)
def test_csv_in_any_encoding_that_is_named(encoding, named):
    assert values(read("people.csv", TEXT.encode(encoding), encoding=named)) == ROWS


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
        (3, "begins a JSON array: write one object on each line"),
        (4, None),
    ]


@pytest.mark.parametrize("space", [None, 2])
def test_a_json_array_is_told_from_broken_json(space):
    first = read("people.jsonl", json.dumps(ROWS, indent=space).encode())[0]
    assert first.reason == "begins a JSON array: write one object on each line"


def test_parquet():
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), file)
    assert values(read("people.parquet", file.getvalue())) == ROWS


def test_a_format_that_is_told_is_believed_over_the_name():
    assert values(read("people.txt", TEXT.encode(), format="csv")) == ROWS


class TestOneBadRow:
    """A row that can't be read is refused alone, and the rows behind it keep their numbers."""

    @pytest.mark.parametrize(
        ("bad", "said"),
        [
            (b"\xc5sa,asa@example.com", "set encoding"),
            (b'"Bob" Smith,bob@example.com', "quotation mark"),
            (b'"Bob,bob@example.com', "quotation mark"),
            (b"x" * 131_073 + b",bob@example.com", "more than 131,072 characters"),
            (b"y" * 3_000_000, "longer than 1,048,576 characters"),
            (b"B,b@example.com,extra", "3 fields"),
        ],
    )
    @pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
    def test_in_csv(self, bad, said, end):
        lines = [b"name,email", b"A,a@example.com", bad, b"C,c@example.com", b'"D",d@example.com']
        rows = read("people.csv", end.join(lines))
        assert [row.number for row in rows] == [1, 2, 3, 4]
        assert [row.values and row.values["name"] for row in rows] == ["A", None, "C", "D"]
        assert said in rows[1].reason

    def test_as_the_last_of_csv(self):
        rows = read("people.csv", b'name,email\nA,a@example.com\n"B,b@example.com\nC,c@example.com\n')
        assert [row.values and row.values["name"] for row in rows] == ["A", None, "C"]

    @pytest.mark.parametrize(
        ("bad", "said"),
        [
            (b'{"name": "\xc5sa"}', "set encoding"),
            (b'{"phone": ' + b"1" * 5001 + b"}", "too many digits"),
            (b"[" * 100_000, "nested too deeply"),
            (b'{"name": "' + b"y" * 3_000_000 + b'"}', "longer than 1,048,576 characters"),
        ],
    )
    def test_in_json_lines(self, bad, said):
        rows = read("people.jsonl", b"\n".join([b'{"name": "A"}', bad, b'{"name": "C"}']))
        assert [(row.number, row.values and row.values["name"]) for row in rows] == [(1, "A"), (2, None), (3, "C")]
        assert said in rows[1].reason

    def test_in_utf_16(self):
        text = "name,email\nA,a@example.com\n".encode("utf-16") + b"\x00\xdcB\x00\n\x00C\x00,\x00c\x00"
        rows = read("people.csv", text, encoding="utf-16")
        assert [row.values and row.values["name"] for row in rows] == ["A", None, "C"]

    def test_in_parquet(self):
        moments = pyarrow.array([0, 10**15, 0], pyarrow.timestamp("s"))
        raw = pyarrow.array([b"A", b"\xc5", b"C"])
        names = pyarrow.Array.from_buffers(pyarrow.string(), 3, raw.buffers())
        file = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table({"name": names, "since": moments, "n": [1, 2, 3]}), file)
        rows = read("people.parquet", file.getvalue())
        assert [row.number for row in rows] == [1, 2, 3]
        assert [row.values["name"] for row in rows if row.number != 2] == ["A", "C"]
        assert isinstance(rows[1].values["name"], Unreadable)
        assert isinstance(rows[1].values["since"], Unreadable)
        assert rows[1].values["n"] == 2


def parquet(**columns):
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), file)
    return file.getvalue()


class TestNumbersOfLittlePrecision:
    """Their digits are known up to where the type skips whole numbers, not where Python's own floats do."""

    @pytest.mark.parametrize(
        ("kind", "most", "too_many"),
        [("float", 2**24 - 1, 2025550143), ("halffloat", 2047, 2048), ("double", 2**52, 2**53)],
    )
    def test_in_parquet(self, kind, most, too_many):
        array = pyarrow.array([most, too_many], "int64").cast(kind, safe=False)
        known, unknown = (row.values["phone"] for row in read("people.parquet", parquet(phone=array)))
        assert cell_text(known) == str(most)
        with pytest.raises(NotTextError, match="too large for its digits to be known"):
            cell_text(unknown)

    def test_missing_ones_are_empty(self):
        array = pyarrow.array([None, float("nan"), 5.0], pyarrow.float32())
        rows = read("people.parquet", parquet(phone=array))
        assert [cell_text(row.values["phone"]) for row in rows] == [None, None, "5"]


def test_only_what_is_needed_of_a_parquet_file_is_read():
    """A column of whole documents that nobody maps must not fill the worker's memory."""
    documents = ["x" * 1_000_000 for _ in range(50)]
    names = [f"name {n}" for n in range(50)]
    content = parquet(name=names, document=pyarrow.array([f"{n}{one}" for n, one in enumerate(documents)]))
    with FileFormat().reading("people.parquet", io.BytesIO(content), lambda columns: [columns[0]]) as source:
        assert source.columns == ["name", "document"]
        assert values(source.rows) == [{"name": name} for name in names]


def test_a_value_that_a_json_object_gives_twice_can_not_be_read():
    """JSON does not say which one is meant: a candidate's address is not guessed."""
    [row] = read("people.jsonl", b'{"name": "A", "email": "a@example.com", "email": "b@example.com"}')
    with pytest.raises(InvalidCandidateError, match="email is there twice"):
        CandidateInput().read(row.values)


def test_what_is_given_twice_and_not_needed_harms_nobody():
    [row] = read("people.jsonl", b'{"name": "A", "email": "a@example.com", "tags": {"x": 1, "x": 2}, "n": 1, "n": 2}')
    assert CandidateInput().read(row.values).email == "a@example.com"


def test_a_bomb_of_one_line_is_one_bad_row_in_little_memory():
    packed = gzip.compress(b"name,email\n" + b"x" * 60_000_000 + b"\nC,c@example.com\n")
    tracemalloc.start()
    rows = read("people.csv.gz", packed)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [row.values and row.values["name"] for row in rows] == [None, "C"]
    assert peak < 20_000_000


@given(st.lists(st.text(st.sampled_from(['"', ",", "\n", "\r", "a", " ", ";", "\ufeff"]), max_size=12), max_size=8))
def test_any_csv_is_rows_or_a_source_error(lines):
    content = "name,email\n" + "\n".join(lines)
    rows = read("people.csv", content.encode())
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    assert all((row.values is None) == (row.reason is not None) for row in rows)


@given(st.binary(max_size=200), st.sampled_from(["utf-8", "utf-16", "cp1252", "utf-8-sig", "shift_jis", "utf-32"]))
def test_any_bytes_are_rows_or_a_source_error(content, encoding):
    for name in ("people.csv", "people.jsonl"):
        with contextlib.suppress(SourceError):
            read(name, content, encoding=encoding)


@given(st.lists(st.tuples(st.text(), st.text()), max_size=5))
def test_what_csv_writes_is_read(people):
    text = io.StringIO(newline="")
    csv.writer(text).writerows([("name", "email"), *people])
    rows = read("people.csv", text.getvalue().encode())
    assert [(row.values["name"], row.values["email"]) for row in rows] == [
        one for one in people if "".join(one).strip()
    ]


class TestExcel:
    def test_cells_without_a_name_and_rows_of_delimiters_are_nothing(self):
        rows = read("people.csv", b"name,email,,\nA,a@example.com,,\n,,,\n ,\nB,b@example.com\nC,c@example.com,,,,\n")
        assert [(row.number, row.values["name"], row.values["email"]) for row in rows] == [
            (1, "A", "a@example.com"),
            (2, "B", "b@example.com"),
            (3, "C", "c@example.com"),
        ]

    def test_short_rows_lack_their_last_fields(self):
        [row] = read("people.csv", b"name,email,phone\nA,a@example.com\n")
        assert row.values == {"name": "A", "email": "a@example.com"}

    def test_two_columns_of_one_name_are_for_whoever_maps_them(self):
        with FileFormat().reading("people.csv", io.BytesIO(b"name,email,note,note\nA,a@example.com,x,y\n")) as source:
            assert source.columns == ["name", "email", "note", "note"]
            assert [row.values["name"] for row in source.rows] == ["A"]

    def test_the_line_that_names_the_separator_is_obeyed(self):
        assert values(read("people.csv", b"\xef\xbb\xbfsep=;\r\nname;email\r\nA;a@example.com\r\n")) == [
            {"name": "A", "email": "a@example.com"}
        ]

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
    def test_a_byte_order_mark_is_no_part_of_the_first_name(self, encoding):
        named = encoding.removesuffix("-sig")
        assert values(read("people.csv", TEXT.encode(encoding), encoding=named)) == ROWS
        assert values(read("people.jsonl", '{"name": "A"}'.encode(encoding), encoding=named)) == [{"name": "A"}]

    def test_a_line_break_in_the_name_of_a_column_is_a_space(self):
        """Excel's Alt+Enter, in a column that nobody may need."""
        assert values(read("people.csv", b'name,email,"Phone\r\n(mobile)"\nA,a@example.com,1\n')) == [
            {"name": "A", "email": "a@example.com", "Phone (mobile)": "1"}
        ]

    def test_blank_lines_before_the_header_are_nothing(self):
        assert values(read("people.csv", b"\n,,\nname,email\nA,a@example.com\n")) == [
            {"name": "A", "email": "a@example.com"}
        ]

    @pytest.mark.parametrize("name", ["PEOPLE.CSV", "People.Csv.GZ"])
    def test_endings_in_any_case(self, name):
        content = gzip.compress(TEXT.encode()) if name.endswith("GZ") else TEXT.encode()
        assert values(read(name, content)) == ROWS


def test_a_line_with_too_many_fields_is_refused_alone():
    rows = read("people.csv", b"name,email\nA,a@example.com,extra\nB,b@example.com\n")
    assert [row.reason for row in rows] == ["has 3 fields where the first line names 2", None]


@pytest.mark.parametrize(
    ("source", "rows"),
    [
        ([[{"name": "A"}], [{"name": "B"}]], [{"name": "A"}, {"name": "B"}]),
        ({"name": "A"}, [{"name": "A"}]),
        ([], []),
        (({"name": "A"} for _ in range(2)), [{"name": "A"}, {"name": "A"}]),
    ],
)
def test_records_that_are_plainly_meant(source, rows):
    assert values(read_records(source).rows) == rows


@pytest.mark.parametrize("source", [None, b"name", 5, True])
def test_what_is_no_list_of_records_is_a_sentence(source):
    with pytest.raises(SourceError, match="give a path, or a list"):
        read_records(source)


def test_records_that_are_none():
    rows = read_records([{"name": "A"}, "B"]).rows
    assert [row.reason for row in rows] == [None, "is not an object with fields such as name and email"]


def test_a_data_frame_is_no_list_of_its_columns():
    with pytest.raises(SourceError, match=r"The source is a DataFrame: .* to_dict\('records'\)\.$"):
        read_records(DataFrame(["name", "email"]))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("people.csv", "näme,email\nÅsa,a@example.com\n".encode("latin-1"), "set encoding"),
        ("people.csv", TEXT.encode("utf-16"), "set encoding, perhaps to 'utf-16'"),
        ("people.csv", TEXT.encode("utf-16-le"), "check the encoding|set encoding"),
        ("people.csv", b"name;email\nA;a@example.com\n", "set delimiter"),
        ("people.csv", b"name\temail\n", "set delimiter"),
        (
            "people.csv",
            b"PK\x03\x04\x14\x00\x06\x00\x00\x00!\x00\xc9",
            r"a ZIP archive, as spreadsheets such as \.xlsx",
        ),
        ("people.jsonl", b"PAR1\x15\x04\x15\xc9", "a Parquet file: set format to 'parquet'"),
        ("people.csv", gzip.compress(TEXT.encode(), mtime=0), r"packed with gzip: end its name in \.gz"),
        ("people.csv", b"", "name its columns|names its columns"),
        ("people.csv", b",,,\n", "name its columns|names its columns"),
        ("people.csv", b'"name,email\n', "first line has a quotation mark"),
        ("people.csv.gz", b"not gzip", "can't be read after line 0"),
        ("people.csv.gz", gzip.compress(TEXT.encode() * 1000, mtime=0)[:80], "can't be read after line"),
        ("people.parquet", b"not parquet", r"Parquet file can't be read: .*[^.]\.$"),
        ("people.parquet.gz", gzip.compress(b"PAR1" * 100, mtime=0)[:-9], "Parquet file can't be read"),
    ],
)
def test_a_broken_file_is_an_error_that_says_where(name, content, said):
    with pytest.raises(SourceError, match=said) as caught:
        read(name, content)
    assert "example.com" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("people", "set format"),
        ("people.json", "one object on each line"),
        ("people.JSON.gz", "one object on each line"),
        ("people.xlsx", "save it as CSV UTF-8"),
        ("people.tsv", "delimiter="),
    ],
)
def test_a_name_that_tells_no_format_gets_a_sentence(name, said):
    with pytest.raises(ConfigurationError, match=said):
        read(name, b"")


@pytest.mark.parametrize(
    "how", [{"encoding": "rot13"}, {"encoding": "undefined"}, {"delimiter": '"'}, {"delimiter": "\n"}]
)
def test_what_can_not_work_is_refused_before_anything_is_read(how):
    with pytest.raises(ConfigurationError):
        FileFormat(**how)


def test_a_json_array_is_told_to_be_one():
    [row, *_] = read("people.jsonl", b'[\n{"name": "A"}\n]\n')
    assert "JSON array" in row.reason

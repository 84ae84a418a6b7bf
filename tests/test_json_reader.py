"""The one reader of JSON: a value, or one line that says where the fault is."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optscale_predictor._support.json_reader import (
    DEEPEST,
    MOST_DIGITS,
    parse_json,
    parse_object,
    read_json,
    read_object,
)
from optscale_predictor.errors import InputError

NESTED = ["[{depth}]", '{{"a":{depth}}}', '[1, "[[[[", {depth}, 2]']


@pytest.mark.parametrize("line", ['{"a": 1, "b": [null, "\\u00e9"]}', ' {"a": 1, "b": [null, "é"]} \n'])
def test_an_object_is_read(line):
    assert parse_object(line, "f:1") == {"a": 1, "b": [None, "é"]}
    assert parse_object(line.encode(), "f:1") == parse_object("\ufeff" + line, "f:1") == {"a": 1, "b": [None, "é"]}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES, st.booleans())
def test_what_python_writes_is_read_as_python_reads_it(value, ascii):
    written = json.dumps(value, ensure_ascii=ascii)
    assert parse_json(written, "f") == json.loads(written) == value


@given(st.text() | st.binary() | st.text('[]{}",:0123456789e+-.\\untrfalse \n', max_size=40))
def test_whatever_a_text_holds_it_is_read_or_refused_as_python_refuses_it(text):
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(InputError) as raised:
            parse_json(text, "F:7")
        assert str(raised.value).startswith("F:7: ") and len(str(raised.value).splitlines()) == 1
    else:
        found = parse_json(text, "F:7")
        assert found == expected or math.isnan(found)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"a": ', "not valid JSON: Expecting value at column 7"),
        ('{"a": 1,\n "b": ]}', "not valid JSON: Expecting value at line 2, column 7"),
        ('{"a": 1} {"a": 2}', "not valid JSON: Extra data at column 10"),
        ("", "not valid JSON: Expecting value at column 1"),
        (b"\xff\xfe{", "not valid JSON: not UTF-8: invalid start byte"),
        ("\ufeff\ufeff{}".encode(), "not valid JSON: Expecting value at column 1"),
        ("[1]", "expected a JSON object, got list"),
        ("null", "expected a JSON object, got NoneType"),
        ('{"a": ' + "9" * 5000 + "}", "cannot read it: a whole number of more than 308 digits"),
        ('{"a": [1, -' + "9" * 309 + "]}", "cannot read it: a whole number of more than 308 digits"),
        ("[" * 200_000, "cannot read it: nested too deeply, more than 100 levels"),
        ('{"a":' * 3_000, "cannot read it: nested too deeply, more than 100 levels"),
    ],
)
def test_what_cannot_be_read_is_one_line_with_its_location(line, says):
    with pytest.raises(InputError) as raised:
        parse_object(line, "FILE:7")
    assert str(raised.value) == f"FILE:7: {says}"


@pytest.mark.parametrize("level", NESTED)
def test_as_deep_as_is_read_and_no_deeper(level):
    def nested(depth):
        text = "0"
        for _ in range(depth):
            text = level.format(depth=text)
        return text

    assert parse_json(nested(DEEPEST), "f") == json.loads(nested(DEEPEST))
    with pytest.raises(InputError, match="nested too deeply"):
        parse_json(nested(DEEPEST + 1), "f")


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("before", range(29))
def test_the_longest_whole_number_is_read_wherever_it_stands_and_a_float_holds_it(sign, before):
    number = sign + "9" * MOST_DIGITS
    found = parse_json(f'["{"x" * before}", {number}, "{"7" * 400}", 1]', "f")
    assert found[1] == int(number) and math.isfinite(float(found[1]))
    with pytest.raises(InputError, match="a whole number of more than 308 digits"):
        parse_json(f'["{"x" * before}", {number}9]', "f")


def test_a_file_is_read(tmp_path):
    (tmp_path / "a.json").write_text('{"a": NaN}')
    assert math.isnan(read_json(tmp_path / "a.json")["a"]) and math.isnan(read_object(tmp_path / "a.json")["a"])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"a": 1, ', "not valid JSON: "),
        (b'{"a": "\xff"}', "not valid JSON: not UTF-8"),
        (b'{"a": [1, {"b": NaN}]}', "nan is no JSON number"),
        (b'{"a": [1, {"b": -1e999}]}', "-inf is no JSON number"),
        (b"[1]", "expected a JSON object, got list"),
        (b'{"a": "' + b"x" * 100 + b'"}', "cannot read it: no such file has more than 100 bytes"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line_that_names_it(content, says, tmp_path):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError) as raised:
        read_object(tmp_path / "a.json", most=100, finite=True)
    assert str(raised.value).startswith(f"{tmp_path / 'a.json'}: {says}") and "\n" not in str(raised.value)


@pytest.mark.parametrize(("name", "says"), [("none", "No such file"), (".", "Is a directory"), ("a\0b", "a NUL in it")])
def test_a_path_that_cannot_be_read_is_one_line(name, says, tmp_path):
    with pytest.raises(InputError, match=says):
        read_object(tmp_path / name)

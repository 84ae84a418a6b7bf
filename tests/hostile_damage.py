"""Ways to damage a sound file, by what kind of file it is: each a name and the bytes that then stand there.

Nothing here is meant to crash a library that reads it: a text of a thousand brackets is refused by our readers before
any library sees it, and binary formats are damaged where every library checks them (lengths, types, what is missing).
"""

import io
import json
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

#: What may stand where any text file should.
ANY_TEXT = {
    "is empty": b"",
    "is binary": bytes(range(256)) * 4,
    "is UTF-16": '{"a": 1}\n'.encode("utf-16"),
    "holds NULs": b"\0" * 64,
    "is gzip cut off": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03abc",
}
ANY_JSON = {
    **ANY_TEXT,
    "nests 3,000 lists": b"[" * 3000,
    "nests 3,000 objects": b'{"a":' * 3000 + b"1" + b"}" * 3000,
    "is a number of 5,000 digits": b"9" * 5000,
    "is null": b"null",
    "is NaN": b"NaN",
    "is a list of lists": b"[[[]]]",
    "is a text": b'"text"',
    "is an empty object": b"{}",
    "has half a surrogate pair for a key": b'{"\\ud800": 1}',
}


#: Ends of what is done where a text becomes another one, and a list a shorter one.
OTHER_TEXTS = (" is a NUL", " is lines", " is empty", " has each line twice")


def _others(value):
    """Values of other types than this one, and of its type such as nobody means."""
    if isinstance(value, bool):
        return {"a text": "yes", "a number": 7}
    if isinstance(value, int | float):
        return {"a text": "many", "null": None, "NaN": float("nan"), "1e999": float("inf"), "a list": [value]} | {
            "huge": 10**300,
            "-1e308": -1e308,
        }
    if isinstance(value, str):
        return {"a number": 7, "null": None, "a list": [value], "an object": {"a": value}} | {
            "half a surrogate pair": "\ud800",
            "a NUL": "a\0b",
            "lines": "a\nb\r\nc\x1b[31m",
        }
    if isinstance(value, list):
        return {"an object": {"a": 1}, "null": None, "a text": "x", "a list of nulls": [None] * 3, "empty": []}
    if isinstance(value, dict):
        return {"a list": [1], "null": None, "a text": "x", "empty": {}}
    return {"an object": {"a": 1}, "a number": 7}


def _replaced(value, path, new):
    """A copy of JSON in which what stands at ``path`` is another; ``...`` takes it out."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    inner = _replaced(copy[path[0]], path[1:], new)
    if inner is ... and isinstance(copy, dict):
        del copy[path[0]]
    elif inner is ...:
        copy.pop(path[0])
    else:
        copy[path[0]] = inner
    return copy


def _places(value, depth):
    """Paths of what stands in a JSON value, ``depth`` levels down at most; of a list its first item alone."""
    if depth == 0 or not isinstance(value, dict | list):
        return
    for key in list(value)[:40] if isinstance(value, dict) else range(min(1, len(value))):
        yield (key,)
        yield from ((key, *rest) for rest in _places(value[key], depth - 1))


def value_damage(value, depth=3):
    """JSON values of which one part is missing or another, by what was done."""
    for path in _places(value, depth):
        place = ".".join(map(str, path))
        yield f"{place} is missing", _replaced(value, path, ...)
        held = value
        for step in path:
            held = held[step]
        for name, other in _others(held).items():
            yield f"{place} is {name}", _replaced(value, path, other)


def json_damage(content, depth=3):
    """Of a file that is one JSON value."""
    yield from ANY_JSON.items()
    yield "is cut off", content[: len(content) // 2]
    yield "goes on behind its end", content + b" x"
    value = json.loads(content)
    for name, other in value_damage(value, depth):
        yield name, json.dumps(other).encode()
    if isinstance(value, dict):
        yield "has an entry that nobody knows", json.dumps({**value, "nobody knows": [1]}).encode()


def lines_damage(content, depth=2):
    """Of a file of JSON lines."""
    lines = content.splitlines()
    for name, text in ANY_JSON.items():
        if name != "is empty":
            yield f"line 2 {name}", b"\n".join([lines[0], text.replace(b"\n", b""), *lines[2:], b""])
    yield "is empty", b""
    yield "is cut off", content[:-10]
    yield "has each line twice", b"".join(line + b"\n" + line + b"\n" for line in lines)
    for name, other in value_damage(json.loads(lines[-1]), depth):
        yield f"last line: {name}", b"\n".join([*lines[:-1], json.dumps(other).encode(), b""])


def _parquet(table):
    written = io.BytesIO()
    pq.write_table(table, written, write_page_checksum=True)
    return written.getvalue()


def parquet_damage(content):
    """Of a Parquet file: what no reader takes, and tables of other columns than it should have."""
    yield from ANY_TEXT.items()
    yield "is cut off", content[: len(content) // 2]
    yield "has no end", content[:-8]
    yield "has a footer longer than it is", content[:-8] + struct.pack("<I", 2**31 - 1) + b"PAR1"
    yield "has a changed byte in its first page", content[:40] + bytes([content[40] ^ 0xFF]) + content[41:]
    table = pq.read_table(io.BytesIO(content))
    yield "has no rows", _parquet(table.slice(0, 0))
    yield "has no columns", _parquet(pa.table({}))
    yield "has every row twice", _parquet(pa.concat_tables([table, table]))
    yield "has other columns", _parquet(pa.table({"a": [1], "b": ["x"]}))
    for place, name in enumerate(table.column_names):
        yield f"has no {name}", _parquet(table.drop_columns([name]))
        yield f"has {name} twice", _parquet(table.append_column(name, table.column(place)))
        for kind, column in _columns(table.column(place)):
            yield f"{name} is {kind}", _parquet(table.set_column(place, name, column))


def _columns(column):
    """Columns that may stand in a column's place."""
    rows = len(column)
    yield "null everywhere", pa.nulls(rows, column.type)
    yield "lists", pa.array([[1]] * rows)
    yield "an object", pa.array([{"a": 1}] * rows)
    yield "a timestamp", pa.array([0] * rows, pa.timestamp("ns"))
    yield "bytes", pa.array([b"\xff\xfe"] * rows)
    if pa.types.is_string(column.type):
        yield "one text everywhere", pa.array(["same"] * rows)
        yield "a number", pa.array(np.arange(rows))
        yield "empty", pa.array([""] * rows)
        yield "a NUL", pa.array(["a\0b"] * rows)
    elif pa.types.is_floating(column.type):
        yield "text", pa.array(["0.5"] * rows)
        for value in (np.nan, np.inf, -1.0, 1.5, 1e308):
            yield f"{value}", pa.array([value] * rows, column.type)
    elif pa.types.is_integer(column.type):
        yield "text", pa.array(["1"] * rows)
        for value in (-1, 2**31 - 1):
            yield f"{value}", pa.array([value] * rows, column.type)
    elif pa.types.is_boolean(column.type):
        yield "a number", pa.array([2] * rows)


def tensors_damage(content):
    """Of a safetensors file, whose format says its header's length first."""
    yield from ANY_TEXT.items()
    (length,) = struct.unpack("<Q", content[:8])
    header, body = json.loads(content[8 : 8 + length]), content[8 + length :]

    def written(entries):
        text = json.dumps(entries).encode()
        return struct.pack("<Q", len(text)) + text + body

    yield "is cut off", content[: len(content) // 2]
    yield "says its header has 2^62 bytes", struct.pack("<Q", 2**62) + content[8:]
    yield "has a header that is no JSON", content[:8] + b"x" * length + body
    yield "has a header that is a list", struct.pack("<Q", 2) + b"[]" + body
    names = [name for name in header if name != "__metadata__"]
    first = names[0]
    entry = header[first]
    yield "lacks a tensor", written({name: one for name, one in header.items() if name != first})
    yield "has a tensor of another name", written({**header, first + ".other": entry})
    shape = [2 * entry["shape"][0], *entry["shape"][1:]] if entry["shape"] else [2]
    yield "has a tensor of another shape", written({**header, first: {**entry, "shape": shape}})
    yield "has a tensor of another type", written({**header, first: {**entry, "dtype": "I8"}})
    yield "has a tensor of an unknown type", written({**header, first: {**entry, "dtype": "Q7"}})
    beyond = {**entry, "data_offsets": [0, 2**40]}
    yield "has a tensor beyond its end", written({**header, first: beyond})
    if entry["dtype"] == "F32":
        yield "holds NaN", content[: 8 + length] + struct.pack("<f", float("nan")) * (len(body) // 4)


YAML = {
    **ANY_TEXT,
    "is a text": b"just a text",
    "is a list": b"- a\n- b\n",
    "nests 3,000 lists": b"a: " + b"[" * 3000,
    "contains itself": b"a: &a [*a]\n",
    "has aliases of aliases": b"".join(
        b"a%d: &a%d [%s]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 9) if n else b"x") for n in range(9)
    ),
    "has a tag of Python's": b"a: !!python/object/apply:os.getcwd []\n",
    "has a month 13": b"a: 2020-13-01\n",
    "has a number of 5,000 digits": b"num_samples: " + b"9" * 5000 + b"\n",
    "has tabs": b"a:\n\t- b\n",
    "has a key that is a list": b"? [a, b]\n: c\n",
    "has two documents": b"a: 1\n---\nb: 2\n",
    "has an unknown flag": b"no_such_flag: 1\n",
    "has a NUL": b'questions: "a\\0b"\n',
    "ends within a text": b'questions: "abc\n',
    "has a merge that is none": b"<<: 3\n",
    "has a set": b"num_samples: !!set {a}\n",
    "has binary": b"num_samples: !!binary AAAA\n",
}


def yaml_damage(content):
    """Of a YAML file of settings, and each of its values replaced by others."""
    import yaml

    yield from YAML.items()
    for name, other in value_damage(yaml.safe_load(content)):
        yield name, yaml.safe_dump(other).encode()


def text_damage(content):
    """Of a file of text, whatever it says: in another encoding, cut off, turned round or repeated."""
    yield from ANY_TEXT.items()
    text = content.decode()
    yield "is UTF-32", text.encode("utf-32")
    yield "begins with a mark of its encoding", b"\xef\xbb\xbf" + content
    yield "is Latin-1", (text + "é").encode("latin-1", "replace")
    yield "ends lines as Windows does", content.replace(b"\n", b"\r\n")
    yield "holds a NUL", content[:10] + b"\0" + content[10:]
    yield "is turned round", content[::-1]
    yield "is there twice", content * 2
    yield "is one line of a million letters", b"x" * 10**6
    yield "is a million empty lines", b"\n" * 10**6
    yield "has a quote that does not end", b'"' + content
    yield "has more commas", content.replace(b",", b",,")
    for share in (1, 2, 3):
        yield f"is cut off after {share} of 4", content[: share * len(content) // 4]


def gguf_header(fields, magic=b"GGUF", version=3, tensors=0, count=None):
    """A GGUF header: its fields as (key, type, bytes)."""
    text = b"".join(struct.pack("<Q", len(key)) + key + struct.pack("<I", kind) + raw for key, kind, raw in fields)
    number = len(fields) if count is None else count
    return magic + struct.pack("<IQQ", version, tensors, number) + text


def gguf_damage():
    """Headers of GGUF files that no reader takes."""
    name = (b"general.name", 8, struct.pack("<Q", 4) + b"tiny")
    yield from ANY_TEXT.items()
    yield "has another magic", gguf_header([name], magic=b"GGML")
    yield "is of version 9", gguf_header([name], version=9)
    yield "is the header alone", gguf_header([name])
    yield "says 2^60 fields", gguf_header([name], count=2**60)
    yield "says 2^60 tensors", gguf_header([name], tensors=2**60)
    yield "has a text of 2^63 bytes", gguf_header([(b"general.name", 8, struct.pack("<Q", 2**63))])
    yield "passes over a text of 2^64 - 1 bytes", gguf_header([(b"a", 8, struct.pack("<Q", 2**64 - 1)), name])
    yield "passes over 2^60 numbers", gguf_header([(b"a", 9, struct.pack("<IQ", 10, 2**60)), name])
    yield "passes over 2^64 - 1 texts", gguf_header([(b"a", 9, struct.pack("<IQ", 8, 2**64 - 1)), name])
    yield "has a value of type 99", gguf_header([(b"a", 99, b"")])
    yield "has a key of 2^40 bytes", gguf_header([])[:16] + struct.pack("<QQ", 1, 2**40)
    yield "has a name that is no UTF-8", gguf_header([(b"general.name", 8, struct.pack("<Q", 2) + b"\xff\xfe")])

"""Inputs that a parser failed on once, as fuzzing made them small: each is tried in every run, by the parser's name."""

FOUND: list[tuple[str, bytes]] = [
    ("GGUF headers", b"GGUF\3\0\0\0" + bytes(8) + b"\1" + bytes(7) + b"\1" + bytes(7) + b"a\10\0\0\0" + b"\xff" * 8),
    (
        "lm-eval's logs",
        b'{"doc_id": 0, "doc": null, "target": "2", "arguments": {"gen_args_0": null}, '
        b'"resps": [["#### 2", "#### 3"]], "filtered_resps": ["2"], "exact_match": 1.0}',
    ),
    ("rubrics", b"---\npattern: '[[Score: (\\S+)'\n---\nQ: {question}\nA: {answer}\n"),
    ("rubrics", b"---\npattern: '[[]Score: (\\S+)'\n---\nQ: {question}\nA: {answer}\n"),
    ("selections", b"confidence:\nx"),
    ("score maps", b'{"intercept": 0.5, "lowest": 0.2, "total": 0.1, "\\r": 0.5}'),
    (
        "verifiers' configs",
        b'{"base_model": "embedded:generator", "base_fingerprint": "abc", "format": 1, '
        b'"score_map": {"location": [], "scale": 1.0, "fitted": "labels"}}',
    ),
]

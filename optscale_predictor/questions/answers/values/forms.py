r"""Which kind of answer a text is: from its tokens to a typed value.

A text may be read in more than one way (``100,200`` is a number and a list, ``5 m`` a quantity and a product); two
answers are the same if they are in some reading.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, reduce

from optscale_predictor.questions.answers.values.brackets import (
    as_real_set,
    intersected,
    is_matrix,
    read_matrix,
    read_nested,
    united,
    without,
)
from optscale_predictor.questions.answers.values.expressions import parse_expression
from optscale_predictor.questions.answers.values.kinds import (
    Bracketed,
    Choice,
    Listing,
    Ratio,
    RealSet,
    Scalar,
    SetOf,
    Unread,
    Value,
    Word,
)
from optscale_predictor.questions.answers.values.phrases import (
    choice,
    phrase,
    read_measured,
    read_scalar,
    spelt_form,
    wording,
)
from optscale_predictor.questions.answers.values.relations import RELATIONS, is_name, read_relation
from optscale_predictor.questions.answers.values.spelling import SET_CLOSES, SET_OPENS, WORD_CLOSES, WORD_OPENS, clean
from optscale_predictor.questions.answers.values.tokens import (
    CLOSES,
    OPENS,
    SIGN,
    SYMBOL,
    WORD,
    Call,
    Token,
    UnreadableError,
    depths,
    split,
    tokenize,
)
from optscale_predictor.questions.answers.values.words import plain_words

#: Characters; a longer "answer" is no answer, and equals none but itself.
LONGEST = 1000
_KEPT = 2**13
_ALL_BUT = re.compile(rf"\\mathbb ?\{{? ?R ?\}}? ?(?:∖|-) ?({SET_OPENS}.*{SET_CLOSES})$")
_LABEL = re.compile(
    rf"^(?:{WORD_OPENS}?(?:the|final|answers?|result|is|approximately|about|around|nearly|exactly|roughly){WORD_CLOSES}?[\s:]*)+(?=\S)"
    rf"|^(?:{WORD_OPENS}?[A-Za-z]{{3,}}{WORD_CLOSES}?\s*){{1,3}}:\s*(?=[\d\\¤(-])",
    re.IGNORECASE,
)
#: What a text may say behind its value.
_REMARK = re.compile(f"{' is the answer'.replace(' ', f'{WORD_CLOSES}? {WORD_OPENS}?')}{WORD_CLOSES}?$")


@lru_cache(maxsize=_KEPT)
def read_value(text: str) -> tuple[Value, ...]:
    """The ways to read an answer, likeliest first; at least one."""
    if len(text) > LONGEST:
        return (Unread(text),)
    cleaned = clean(text)
    # Letters and phrases before the grammar, which would take B for a variable and "no" for a product.
    told = choice(cleaned, read_value) or phrase(cleaned)
    if told is not None:
        return (told,)
    cleaned = _REMARK.sub("", _LABEL.sub("", cleaned))
    try:
        readings = [_tried(cleaned), read_measured(cleaned)]
        # 100,200 is a number outside brackets and two inside; each reading that is possible comes behind the likeliest.
        if re.search(r"\d,\d{3}(?!\d)", cleaned):
            readings += [_tried(cleaned, grouped=False), _tried(cleaned, inside=True)]
        found = tuple(dict.fromkeys(one for one in readings if one is not None))
    except RecursionError:  # of a tree too deep to be hashed
        found = ()
    return found or (wording(cleaned),)


def _tried(text: str, grouped: bool = True, inside: bool = False) -> Value | None:
    """A cleaned text's value; None where it is of no known form."""
    try:
        return spelt_form(text) or _all_but(text) or _answer(tokenize(text, grouped, inside))
    except (UnreadableError, RecursionError):
        return None


def _all_but(text: str) -> Value | None:
    r"""``\\mathbb{R} \\setminus \\{3\\}``: all real numbers but some."""
    found = _ALL_BUT.match(text)
    if not found:
        return None
    value = _answer(tokenize(found[1]))
    if not isinstance(value, SetOf) or not all(isinstance(one, Scalar) and not one.names for one in value.items):
        raise UnreadableError("all but something else")
    return without([one.value for one in value.items if isinstance(one, Scalar)])


def _answer(tokens: Sequence[Token]) -> Value:
    """The value of tokens, by what binds loosest: unions, then lists, then relations, then what stands by itself."""
    tokens = _stripped(tokens)
    parts = split(tokens, "∪")
    if len(parts) > 1:
        sets = [as_real_set(_answer(part)) for part in parts]
        if None in sets:
            raise UnreadableError("a union of other things than intervals")
        return united(one for one in sets if one is not None)
    items, joined_by = _items(tokens)
    if len(items) > 1:
        return _listed(items, joined_by)
    if any(token.kind == SIGN and token.text in "±∓" for token in tokens):
        return _both(tokens)
    if len(split(tokens, RELATIONS)) > 1:
        return read_relation(tokens, _answer)
    return _single(tokens)


def _stripped(tokens: Sequence[Token]) -> Sequence[Token]:
    """Without empty groups and braces around the whole."""
    while (
        len(tokens) > 1
        and tokens[0].text == "{"
        and tokens[-1].text == "}"
        and tokens[0].kind == tokens[-1].kind == SIGN
        and all(depth > 0 for depth in depths(tokens)[1:-1])
    ):
        tokens = tokens[1:-1]
    if not tokens:
        raise UnreadableError("nothing")
    return tokens


def _items(tokens: Sequence[Token]) -> tuple[list[list[Token]], str]:
    """The parts of a list: between commas, semicolons, ``and`` and ``or`` outside all brackets."""
    parts: list[list[Token]] = [[]]
    word = ""
    for token, depth in zip(tokens, depths(tokens), strict=True):
        joins = token.kind == WORD and token.text.lower() in ("and", "or")
        if depth == 0 and (joins or (token.kind == SIGN and token.text in ",;")):
            word = token.text.lower() if joins else word
            if parts[-1]:
                parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part], word


def _listed(items: Sequence[Sequence[Token]], word: str) -> Value:
    values: list[Value] = []
    for item in items:
        value = _answer(item)
        values += value.items if isinstance(value, Listing) else (value,)
    sets = [one for one in values if isinstance(one, RealSet)]
    if len(sets) == len(values) and word == "or":
        return united(sets)
    if len(sets) == len(values) and word == "and":
        return reduce(intersected, sets)
    return Listing(tuple(values))


def _both(tokens: Sequence[Token]) -> Value:
    """A text with ± is two, one with each sign."""
    found: list[Value] = []
    for plus, minus in (("+", "-"), ("-", "+")):
        signs = {"±": plus, "∓": minus}
        value = _answer([replace(one, text=signs.get(one.text, one.text)) for one in tokens])
        found += value.items if isinstance(value, Listing) else (value,)
    if len(found) == 2 and isinstance(found[0], SetOf) and isinstance(found[1], SetOf):
        return SetOf(tuple(dict.fromkeys((*found[0].items, *found[1].items))))
    return Listing(tuple(found))


def _single(tokens: Sequence[Token]) -> Value:
    if is_matrix(tokens):
        return read_matrix(tokens, _answer)
    if _is_enclosed(tokens):
        return _enclosed(tokens)
    if tokens[-1].text in CLOSES and (scaled := _scaled(tokens)) is not None:
        return scaled
    tokens = [Token(SIGN, ":") if _is_to(token) else token for token in tokens]
    parts = split(tokens, ":")
    if len(parts) > 1:
        return Ratio(tuple(Scalar(parse_expression(part)) for part in parts))
    if all(token.kind == WORD for token in tokens) or (len(tokens) == 1 and _is_letter(tokens[0])):
        return _worded(tokens)
    return read_scalar(tokens)


def _is_to(token: Token) -> bool:
    return token.kind == WORD and token.text == "to"


def _is_letter(token: Token) -> bool:
    return token.kind in (SYMBOL, WORD) and len(token.text) == 1 and token.text.isupper()


def _worded(tokens: Sequence[Token]) -> Value:
    words = " ".join(token.text for token in tokens)
    if len(words) == 1 and words.isupper():
        return Choice(words)
    return phrase(words) or Word(plain_words(words))


def _is_enclosed(tokens: Sequence[Token]) -> bool:
    """Whether the first token opens a bracket that the last one closes."""
    if tokens[0].kind != SIGN or tokens[0].text not in OPENS[:-1] or tokens[-1].text not in CLOSES[:-1]:
        return False
    return len(tokens) > 2 and all(depth > 0 for depth in depths(tokens)[1:-1])


def _enclosed(tokens: Sequence[Token]) -> Value:
    opens, closes, inner = tokens[0].text, tokens[-1].text, tokens[1:-1]
    parts = [part for sign in ",;" if len(split(inner, sign)) > 1 for part in split(inner, sign)]
    if opens == SET_OPENS:
        described = [split(inner, sign) for sign in "|:" if len(split(inner, sign)) == 2]
        if described and is_name(described[0][0]):  # all x with a property
            return _answer(described[0][1])
        value = _answer(inner)
        return SetOf(value.items if isinstance(value, Listing) else (value,))
    if not parts:
        if opens == "[":
            value = _answer(inner)
            return value if not isinstance(value, Bracketed) else Bracketed(opens, (value,), closes)
        if len(inner) == 1 and _is_letter(inner[0]):
            return Choice(inner[0].text)
        try:
            return read_scalar(tokens)
        except UnreadableError:
            return _answer(inner)
    items = tuple(_answer(part) for part in parts)
    nested = read_nested(items) if opens == closes.translate({ord("]"): "["}) == "[" else None
    return nested or Bracketed(opens, items, closes)


def _scaled(tokens: Sequence[Token]) -> Value | None:
    """A number times a point or a vector."""
    start = next((n for n, depth in enumerate(depths(tokens)) if depth == 0 and _is_enclosed(tokens[n:])), 0)
    if not start or tokens[start].text == SET_OPENS:
        return None
    try:
        inner = _enclosed(tokens[start:])
        head = tokens[:start]
        factor = parse_expression(head[:-1] if head[-1].text == "*" else head)
    except UnreadableError:
        return None
    if not isinstance(inner, Bracketed) or not all(isinstance(one, Scalar) for one in inner.items):
        return None
    return replace(
        inner, items=tuple(Scalar(Call("mul", (factor, one.node))) for one in inner.items if isinstance(one, Scalar))
    )

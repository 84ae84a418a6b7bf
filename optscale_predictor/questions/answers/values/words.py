"""What words mean in an answer: numbers spelt out, "no solution", units of measure, nouns that are counted.

A number with a unit equals the bare number (the question says what is asked), but 15 cm² is not 15 cm³. Nouns that are
counted (18 eggs) are no units: one may call eggs what another calls pieces.
"""

import re
from collections.abc import Sequence
from fractions import Fraction

from optscale_predictor.questions.answers.values.spelling import WORD_CLOSES, WORD_OPENS

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_SMALL = {word: number for number, word in enumerate(_ONES)} | {
    word: number for number, word in zip(range(20, 100, 10), _TENS, strict=True)
}
_LARGE = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_PARTS = {
    **{"half": 2, "halve": 2, "third": 3, "quarter": 4, "fourth": 4},
    **{"fifth": 5, "sixth": 6, "eighth": 8, "tenth": 10},
}
#: Words behind a number that multiply it.
MULTIPLES = {**_LARGE, "trillion": 10**12, "dozen": 12, "lakh": 10**5, "crore": 10**7, "grand": 1000}
_NUMBER_WORD = re.compile(rf"\b(?:{'|'.join((*_SMALL, *_LARGE))})\b", re.IGNORECASE)

_NOTHING = {
    "no solution",
    "no solutions",
    "no solution exists",
    "no solutions exist",
    "no real solution",
    "no real solutions",
    "there is no solution",
    "there are no solutions",
    "empty set",
    "the empty set",
}
_REALS = {
    "all real numbers",
    "all reals",
    "all real",
    "real numbers",
    "the set of all real numbers",
    "set of all real numbers",
    "any real number",
    "all real x",
}
_SYNONYMS = {
    "dne": "does not exist",
    "not possible": "impossible",
    "infinite": "infinitely many",
    "infinitely many solutions": "infinitely many",
}
_SAYING = re.compile(r"^(?P<subject>\w[\w' ]*?) (?:is|are|was|were) (?:the )?(?:\w+est|first|winner|answer|one)$")


def plain_words(text: str) -> str:
    """A cleaned text as a phrase: small letters, one space between words, no article, no punctuation."""
    text = text.replace(WORD_OPENS, " ").replace(WORD_CLOSES, " ").replace("¤", " $")
    found = [word.strip(".'") for word in re.sub(r"[^\w%$'+./-]+", " ", text.casefold()).split()]
    words = re.sub(r"\b(?:the|an?) (?=\w{2})(?!(?:and|or) )", "", " ".join(word for word in found if word))
    return _SYNONYMS.get(words, words)


def spelt_number(phrase: str) -> Fraction | None:
    """The number that a phrase spells, as ``twenty-one`` and ``two thirds`` do; None where it spells none."""
    words = re.split(r"[\s-]+", phrase.casefold().strip())
    if len(words) > 1 and words[0] in ("negative", "minus"):
        positive = spelt_number(" ".join(words[1:]))
        return None if positive is None else -positive
    part = _PARTS.get(words[-1].removesuffix("s")) if len(words) > 1 else None
    if part is not None:
        count = Fraction(1) if words[:-1] == ["a"] else spelt_number(" ".join(words[:-1]))
        return None if count is None else count / part
    whole = _spelt_whole(words)
    return None if whole is None else Fraction(whole)


def _spelt_whole(words: Sequence[str]) -> int | None:
    total = group = 0
    last = 1000  # the size of the word before: in a number they get smaller
    for word in words:
        if word == "and" and (total or group):
            continue
        if word in _SMALL:
            if last <= 10 or (last < 100 and _SMALL[word] >= 10) or (_SMALL[word] == 0 and len(words) > 1):
                return None
            group, last = group + _SMALL[word], 10 if _SMALL[word] < 20 else 20
        elif word in _LARGE:
            group, last = max(group, 1) * _LARGE[word], 1000
            if _LARGE[word] > 100:
                total, group = total + group, 0
        else:
            return None
    return total + group if words else None


def last_spelt_number(text: str) -> str | None:
    """The last number spelt out in a prose text; a lone ``one`` is no number there."""
    found = None
    for run in re.finditer(
        rf"{_NUMBER_WORD.pattern}(?:(?:[\s-]|\sand\s)+{_NUMBER_WORD.pattern})*", text, re.IGNORECASE
    ):
        if run[0].casefold() != "one":
            found = run[0]
    return found


def means_nothing(phrase: str) -> bool:
    """Whether a phrase says that there is no solution."""
    return phrase in _NOTHING or f"the {phrase}" in _NOTHING


def means_all_reals(phrase: str) -> bool:
    """Whether a phrase says that every real number is a solution."""
    return phrase in _REALS


def subject(phrase: str) -> str:
    """Whom a sentence is about: ``evelyn`` of ``evelyn is fastest``; the phrase itself where it is none."""
    found = _SAYING.match(phrase)
    return found["subject"] if found else phrase


_LENGTHS = {
    "millimeter": "mm",
    "centimeter": "cm",
    "decimeter": "dm",
    "meter": "m metre",
    "kilometer": "km",
    "inch": "in inches",
    "foot": "ft feet",
    "yard": "yd",
    "mile": "mi",
}
_OTHERS = {
    "milligram": "mg",
    "gram": "g gm",
    "kilogram": "kg kilo",
    "ton": "tonne",
    "ounce": "oz",
    "pound": "lb lbs",
    "milliliter": "ml mL millilitre",
    "liter": "l L litre",
    "gallon": "gal",
    "quart": "qt",
    "pint": "pt",
    "cup": "",
    "second": "s sec",
    "minute": "min",
    "hour": "h hr",
    "day": "",
    "week": "wk",
    "month": "mo",
    "year": "yr",
    "degree": "deg °",
    "radian": "rad",
    "dollar": "¤ $ USD buck",
    "euro": "€ EUR",
    "sterling": "£ GBP",
    "yen": "¥ JPY",
    "rupee": "₹ INR Rs",
    "cent": "¢",
    "newton": "N",
    "joule": "J",
    "watt": "W",
    "volt": "V",
    "hertz": "Hz",
    "kelvin": "K",
    "celsius": "",
    "fahrenheit": "",
    "mph": "",
    "kph": "kmh",
}


def _plurals(names: list[str]) -> list[str]:
    return [form for name in names for form in ((name, f"{name}s", f"{name}.") if len(name) > 1 else (name,))]


_KNOWN: dict[str, str] = {
    **{form: unit for unit, others in (_LENGTHS | _OTHERS).items() for form in _plurals([unit, *others.split()])},
    "centimetre": "centimeter",
    "C": "celsius",
    "F": "fahrenheit",
    "centimetres": "centimeter",
    "millimetre": "millimeter",
    "kilometre": "kilometer",
    "kilometres": "kilometer",
}
_POWERS = {"square": 2, "sq": 2, "squared": 2, "cubic": 3, "cubed": 3, "cu": 3}
_FACTOR = re.compile(r"(?P<word>[A-Za-z]+\.?|[¤$€£¥₹¢°])|\^\s*\{?\s*(?P<power>-?\d+)\s*\}?|(?P<over>/)|(?P<times>\*)")
_SAID = {"mph": {"mile": 1, "hour": -1}, "kph": {"kilometer": 1, "hour": -1}}


def is_unit(word: str) -> bool:
    """Whether a word of two letters or more is a unit's name or sign."""
    return len(word) > 1 and (
        word in ("unit", "units") or word in _KNOWN or word.lower() in _KNOWN or word.lower() in _POWERS
    )


def dimensions(phrase: str) -> tuple[tuple[str, int], ...] | None:
    """The units of a phrase with their powers, sorted; None where a word of it is no unit.

    ``square centimeters``, ``cm^2`` and ``cm²`` are all ``(("centimeter", 2),)``; ``km/h`` and ``kilometers per hour``
    are equal.
    """
    if _FACTOR.sub("", phrase).strip(" ()"):
        return None
    found: dict[str, int] = {}
    sign, pending, last = 1, 1, ""
    for factor in _FACTOR.finditer(phrase):
        word = factor["word"]
        if factor["over"] or word in ("per", "an", "a", "each"):
            sign = -1
        elif factor["power"] and last:
            found[last] = (1 if found[last] > 0 else -1) * int(factor["power"])
        elif word and word.lower() in _POWERS:
            if last and word.lower() in ("squared", "cubed"):
                found[last] *= _POWERS[word.lower()]
            else:
                pending = _POWERS[word.lower()]
        elif word and word.lower() != "unit" and word.lower() != "units":
            unit = _KNOWN.get(word, _KNOWN.get(word.lower() if len(word) > 1 else word))
            if unit is None:
                return None
            for name, power in _SAID.get(unit, {unit: 1}).items():
                last = name
                found[name] = found.get(name, 0) + sign * power * pending
            sign, pending = 1, 1
    if "degree" in found and len(found) > 1:  # degrees Celsius
        del found["degree"]
    return tuple(sorted((unit, power) for unit, power in found.items() if power))


def compatible(left: str, right: str) -> bool:
    """Whether quantities of these units may be the same: one has none, one is a noun, or both are alike.

    Args:
        left: The words behind one number, units or a noun.
        right: Those behind the other.
    """
    one, other = dimensions(left), dimensions(right)
    return not one or not other or one == other


#: Words that say more of a number than what it counts.
_TELLING = frozenset(
    (
        "is are was were be has have the because since if then when while which who that this of to from by with for "
        "plus minus times divided more less fewer than below above over under before after between not no so and or "
        "but as out left right increase decrease increased decreased squared cubed sum product difference am pm in up "
        "down off north south east west wrong negative factorial half halves thirds fourths fifths sixths sevenths "
        "eighths ninths tenths hundredths thousandths hundreds thousands millions score gross mod modulo "
        "third fourth fifth sixth seventh eighth ninth tenth hundredth thousandth tens ago later earlier mille"
    ).split()
)
_MOST_NOUNS = 4


def is_noun_phrase(phrase: str) -> bool:
    """Whether words behind a number only say what is counted: ``eggs``, ``slices per person``."""
    words = re.findall(r"[^\W\d_]+", phrase.casefold())
    return 0 < len(words) <= _MOST_NOUNS and not _TELLING & {*words}


def is_measure(phrase: str) -> bool:
    """Whether a phrase is of units, or of the word ``units`` itself."""
    return (
        bool(dimensions(phrase))
        or re.fullmatch(r"(?:sq|square|cu|cubic)?\s*units?(?:\s*\^.*)?", phrase.strip()) is not None
    )

r"""One spelling for what LaTeX, Unicode and Markdown write in many ways, before an answer is cut into tokens.

``\dfrac``, ``½`` and ``\tfrac`` become ``\frac``; ``\left``, spaces and bold vanish; words in ``\text{}`` are marked,
for they are no products of variables. Nothing is judged: a text that means something else is spelt otherwise.
"""

import re
import unicodedata

#: Between these stand words, as ``\text{}`` has them.
WORD_OPENS, WORD_CLOSES = "‹", "›"
#: The braces of a set, ``\{ \}``; plain braces only group.
SET_OPENS, SET_CLOSES = "⦃", "⦄"

#: Ends a row of a matrix.
ROW_END = "⏎"

_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n", strict=True))
_SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
_VULGAR = re.compile("[¼-¾⅐-⅞]")
_CHARACTERS = str.maketrans(
    {
        **dict.fromkeys("−–—‒﹣", "-"),
        **dict.fromkeys("×⋅·∙∗•⨯✕", "*"),
        **dict.fromkeys("‘’′", "'"),
        **dict.fromkeys("“”„", '"'),
        **dict.fromkeys("≤⩽≦", "≤"),
        **dict.fromkeys("≥⩾≧", "≥"),
        **dict.fromkeys("≈≃≅", "≈"),
        **dict.fromkeys("∖", "∖"),
        **dict.fromkeys("⟨〈", "⟨"),
        **dict.fromkeys("⟩〉", "⟩"),
        "÷": "/",
        "⁄": "/",
        "∕": "/",
        "√": r"\sqrt ",
        "∛": r"\sqrt[3]",
        "π": r"\pi ",
        "θ": r"\theta ",
        "∞": r"\infty ",
        "∅": r"\emptyset ",
        "ℝ": r"\mathbb{R}",
        "º": "°",
        "\u200b": "",
        "\ufeff": "",
        "`": "",
        WORD_OPENS: "<",
        WORD_CLOSES: ">",
    }
)
_COMMANDS = {
    **dict.fromkeys(("dfrac", "tfrac", "cfrac", "nicefrac", "sfrac"), r"\frac"),
    **dict.fromkeys(("dbinom", "tbinom"), r"\binom"),
    **dict.fromkeys(("le", "leq", "leqslant", "leqq"), "≤"),
    **dict.fromkeys(("ge", "geq", "geqslant", "geqq"), "≥"),
    **dict.fromkeys(("ne", "neq"), "≠"),
    **dict.fromkeys(("approx", "simeq", "thickapprox", "cong"), "≈"),
    **dict.fromkeys(("times", "cdot", "ast", "bullet"), "*"),
    **dict.fromkeys(("cup", "bigcup"), "∪"),
    **dict.fromkeys(("setminus", "backslash", "smallsetminus"), "∖"),
    **dict.fromkeys(("lvert", "rvert", "vert", "mid"), "|"),
    **dict.fromkeys(("lbrace",), SET_OPENS),
    **dict.fromkeys(("rbrace",), SET_CLOSES),
    **dict.fromkeys(("quad", "qquad", "thinspace", "enspace", "displaystyle", "textstyle", "limits", "hfill"), " "),
    **dict.fromkeys(("bf", "rm", "it", "bfseries", "boldmath", "left", "right", "middle", "strut"), " "),
    **dict.fromkeys(("varnothing", "O"), r"\emptyset "),
    **dict.fromkeys(("land", "wedge"), f" {WORD_OPENS}and{WORD_CLOSES} "),
    **dict.fromkeys(("lor", "vee"), f" {WORD_OPENS}or{WORD_CLOSES} "),
    "lt": "<",
    "gt": ">",
    "in": "∈",
    "div": "/",
    "pm": "±",
    "mp": "∓",
    "langle": "⟨",
    "rangle": "⟩",
    "colon": ":",
    "degree": "°",
    "lbrack": "[",
    "rbrack": "]",
    "imath": "i",
    "jmath": "j",
    "euro": "€",
    "pounds": "£",
    "ldots": "...",
    "dots": "...",
    "cdots": "...",
}
OPERATORS = frozenset(
    (
        "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln lg exp gcd lcm max min abs floor ceil sqrt"
    ).split()
)
_STYLED = ("mathrm", "mathbf", "boldsymbol", "mathit", "mathsf", "bm", "operatorname", "boxed", "fbox", "ensuremath")
_WORDED = ("text", "textbf", "textit", "textrm", "textsf", "texttt", "textnormal", "mbox", "hbox", "emph", "underline")
_GROUPED = re.compile(rf"\\({'|'.join((*_STYLED, *_WORDED))})\*?\s*\{{")
_COMMAND = re.compile(r"\\([A-Za-z]+)")
_SIZED = re.compile(r"\\(?:left|right|middle|[bB]igg?[lrm]?)(?![A-Za-z])\s*(\.(?!\d))?")
_SPACE = re.compile(r"\\[,;:! ]|~|\\hspace\*?\{[^{}]*\}|\\[hv]?phantom\{[^{}]*\}")
_DIGIT_GROUPS = re.compile(r"(?<![\d.])(?<!\d,)\d{1,3}(?:(?:\{,\}|,\\! ?|\{,\\!\}|\\!, ?|\\,|\\ )\d{3})+(?!\d)")
_LAYERS = 16  # of bold, dollars and braces around one answer
_REPEATING = re.compile(r"(?<![\d.])(\d*\.\d*?)(\d{1,6}?)\2{2,}(?:\.\.\.|…|\\l?dots(?![A-Za-z]))")
_BASIS = re.compile(r"\\(?:mathbf|boldsymbol|bm|hat|vec|widehat)\s*\{?\s*(?:\\)?([ijk])(?:math)?\s*\}?(?![A-Za-z])")


def clean(text: str) -> str:
    """``text`` in the one spelling; at most a few times as long."""
    text = _unicode(text).strip()
    text = unwrapped(text)
    text = re.sub(r"\\(?:text)?color\s*\{[^{}]*\}", "", text).replace("{}", "")
    text = re.sub(r"(?<=\d)\s*x\s*(?=10\s*\^)", r"\\times ", text)
    text = _REPEATING.sub(r"\1\\overline{\2}", text)
    text = re.sub(r"^(?:\\text\{)?(?:negative|minus) ?\}? ?(?=[\d$\\])", "-", text, flags=re.IGNORECASE)
    text = re.sub(r"^<([^<>=]+,[^<>=]+)>$", r"⟨\1⟩", text)
    # Two backslashes end a row of a matrix; elsewhere they are one that was escaped once too often.
    text = text.replace("\\\\", ROW_END if "\\begin" in text else "\\")
    text = re.sub(rf"{ROW_END}\s*\[[\d.]*\s*[a-z]+\]", ROW_END, text)
    text = _DIGIT_GROUPS.sub(lambda found: re.sub(r"\D", "", found[0]), text)
    text = text.replace("\\$", "¤").replace("US$", "¤").replace("$", " ")
    text = re.sub(r"\\[()\[\]]", " ", text) if not re.search(r"\\\[\d*(pt|em|ex|mm)\]", text) else text
    text = text.replace("\\{", SET_OPENS).replace("\\}", SET_CLOSES).replace("\\|", "|")
    text = text.replace("\\%", "%").replace("\\#", " ").replace("\\_", "_")
    text = _SIZED.sub(" ", text)
    text = _BASIS.sub(lambda found: f"\\basis{found[1]} ", text)
    text = _SPACE.sub(" ", text)
    text = _words(text)
    text = _COMMAND.sub(lambda found: _COMMANDS.get(found[1], found[0]), text)
    text = re.sub(rf"(?<=[a-z]{{2}})(?P<closes>{WORD_CLOSES}?)\.(?=\s|\^)", r"\g<closes>", text)
    text = re.sub(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![A-Za-z])|\{\s*°\s*\})", "°", text)
    text = re.sub(rf"(?<=[)\]}}{SET_CLOSES}])\s*U\s*(?=[(\[{SET_OPENS}])", "∪", unwrapped(text))
    text = re.sub(r"(?<=\s)!=", "≠", text).replace("**", "^").replace("<=", "≤").replace(">=", "≥")
    return _trimmed(re.sub(r"\s+", " ", text))


def unwrapped(text: str) -> str:
    """``text`` without Markdown's bold, the dollars or brackets of mathematics, and a final stop around the whole."""
    for _ in range(_LAYERS):
        before = text
        for opens, closes in (
            ("**", "**"),
            ("__", "__"),
            ("*", "*"),
            ("$$", "$$"),
            ("$", "$"),
            (r"\(", r"\)"),
            (r"\[", r"\]"),
        ):
            if len(text) > len(opens) + len(closes) and text.startswith(opens) and text.endswith(closes):
                inner = text[len(opens) : -len(closes)]
                text = text if opens in inner or closes in inner else inner.strip()
        if text.startswith("{") and _closing(text, 0) == len(text) - 1:
            text = text[1:-1]
        text = _trimmed(text)
        if text == before:
            break
    return text


def _unicode(text: str) -> str:
    text = re.sub(f"[{''.join(_SUPERSCRIPTS)}]+", lambda run: "^{" + _mapped(run[0], _SUPERSCRIPTS) + "}", text)
    text = re.sub(f"[{''.join(_SUBSCRIPTS)}]+", lambda run: "_{" + _mapped(run[0], _SUBSCRIPTS) + "}", text)
    text = _VULGAR.sub(lambda one: _vulgar(one[0]), text)
    return unicodedata.normalize("NFKC", text.translate(_CHARACTERS)).translate(_CHARACTERS)


def _mapped(text: str, table: dict[str, str]) -> str:
    return "".join(table[one] for one in text)


def _vulgar(character: str) -> str:
    above, _, below = unicodedata.normalize("NFKC", character).partition("⁄")
    return f"\\frac{{{above}}}{{{below}}}" if below else character


def _trimmed(text: str) -> str:
    """Without the sentence's own punctuation at the end, also just within a group; a factorial's is not its own."""
    if text.endswith(r"\,"):  # a thin space, whose comma is no stop
        text = text[:-2]
    if text.rstrip().endswith(("...", r"\dots", r"\ldots")):  # more was to come
        return text.strip()
    return re.sub(r"(?<!\\)[\s.,;:]+(?=\}?$)|(?:\\\\)+\s*$", "", text.strip())


def _words(text: str) -> str:
    r"""The words of ``\text{}`` between marks, and what other styles hold as it stands."""
    parts, start = [], 0
    while found := _GROUPED.search(text, start):
        end = _closing(text, found.end() - 1)
        if end < 0:
            break
        inner = _words(text[found.end() : end])
        parts += [text[start : found.start()], _styled(found[1], inner)]
        start = end + 1
    return "".join([*parts, text[start:]])


def _styled(style: str, inner: str) -> str:
    if style in ("boxed", "fbox", "ensuremath", "operatorname", "boldsymbol", "bm", "mathbf", "mathit"):
        known = style == "operatorname" and inner.strip() in OPERATORS
        return f"\\{inner.strip()} " if known else f" {_marked(inner) if style == 'operatorname' else inner} "
    if style in _STYLED and len(inner.strip()) < 2:
        return f" {inner} "
    return f" {_marked(inner)} "


def _marked(text: str) -> str:
    """A text with its words between marks."""
    return re.sub(r"(?<![\\‹])\b[^\W\d_][^\W\d_'-]*", lambda word: f"{WORD_OPENS}{word[0]}{WORD_CLOSES}", text)


def _closing(text: str, start: int) -> int:
    """Where the brace that opens at ``start`` closes; -1 where it never does."""
    depth = 0
    for position in range(start, len(text)):
        if text[position] in "{}" and text[position - 1 : position] != "\\":
            depth += 1 if text[position] == "{" else -1
            if depth == 0:
                return position
    return -1

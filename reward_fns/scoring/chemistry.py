r"""Chemical formulas and equations: what is on each side of an arrow, and how often.

    equation(r"2\mathrm{H}_2 + O_2 \to 2H_{2}O")  ->  the same as equation("2H2+O2=2H2O")

Case counts: CO is carbon monoxide and Co is cobalt. Blanks, subscript marks, the kind of arrow, the order on a side and
states such as (aq) do not. A charge may stand on the line, where `Ca2+` is Ca^{2+}, `NH4+` is NH_4^+ and `SO42-` is
SO_4^{2-}.
"""

import re

Equation = tuple[tuple[tuple[str, str], ...], ...]
"""For each side its species, sorted by their text, as coefficient and formula."""

MAX_CHARS = 500

_ELEMENTS = frozenset(
    re.findall(
        r"\w+",
        "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr "
        "Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir "
        "Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl "
        "Mc Lv Ts Og D e",
    )
)
_WORDS = {"no", "as", "in", "at", "he", "be", "am", "i", "e", "this", "his", "us", "on", "of"}
_ARROW = re.compile(
    r"\s?(?:\\x?(?:long)?(?:right|leftright)arrow(?:\{[^{}]*\})?|\\to|\\leftrightharpoons|(?<![-=])<?[-=]+>|=)\s?"
)
_PLUS = re.compile(r"\s\+\s|\+(?=\s?[0-9(\[]*[A-Z])")
_SPECIES = re.compile(
    r"(?P<times>[0-9]+(?:/[0-9]+)?(?![0-9]))?"
    r"(?P<formula>(?:[A-Z][a-z]?|(?<![A-Z])e|[0-9()\[\]^+-]|\\cdot|[.*])+)"
)
_FRACTION = re.compile(r"\\frac(?:\{([0-9]+)\}\{([0-9]+)\}|([0-9])([0-9]))")
_STATE = re.compile(r"\((?:aq|s|l|g|cr)\)")
_MARKS = re.compile(r"_|(?<=[_0-9A-Za-z)\]])\{([0-9]+)\}")
_CHARGE = re.compile(r"\^?\{\^?([0-9]*)([+-])([0-9]*)\}|\^([0-9]*)([+-])")
_ON_LINE = re.compile(
    r"(?P<body>[^^]*[A-Za-z)\]])(?P<low>_[0-9](?![0-9])|_\{[0-9]+\}|_(?=[0-9]))?"
    r"(?P<digits>[0-9]*)(?P<sign>[+-])(?P<size>[0-9]?)"
)
_LONE = re.compile(r"[0-9/]*([A-Z][a-z]?)")
_MOLECULE = re.compile("(?:F|Cl|Br|I)[0-9]-|[HNO][0-9][+]")  # no element has these charges: I3- is I_3^-


def equation(text: str) -> Equation | None:
    """The sides of a normalised equation, or the one side of a formula; None for what is neither."""
    if len(text) > MAX_CHARS:
        return None
    sides = tuple(_side(side) for side in _ARROW.split(text))
    if None in sides or (len(sides) == 1 and text.casefold() in _WORDS):
        return None
    return tuple(side for side in sides if side is not None)


def _side(text: str) -> tuple[tuple[str, str], ...] | None:
    species = []
    for part in _PLUS.split(text.strip()):
        bare = _FRACTION.sub(lambda match: f"{match[1] or match[3]}/{match[2] or match[4]}", _STATE.sub("", part))
        bare = _CHARGE.sub(_charge, "".join(bare.split()))
        bare = _MARKS.sub(r"\1", _charge_on_line(bare))
        match = _SPECIES.fullmatch(bare)
        if not match or not set(re.findall("[A-Z][a-z]?|e", match["formula"])) <= _ELEMENTS:
            return None
        if not re.search("[A-Ze]", match["formula"]):
            return None
        species.append((match["times"] or "1", _one_dot(match["formula"])))
    return tuple(sorted(species))


def _charge(match: re.Match[str]) -> str:
    """`{2+}`, `{+2}`, `^{2+}` and `^2+` as `^2+`."""
    size = match[1] or match[3] or match[4] or ""
    return f"^{'' if size == '1' else size}{match[2] or match[5]}"


def _charge_on_line(text: str) -> str:
    """A species with its charge behind a hat, where it stands on the line.

    One digit before the sign is the charge of a lone element or a bracket, else a subscript; of several, the last is
    the charge.
    """
    match = _ON_LINE.fullmatch(text)
    if not match:
        return text
    body, low, digits, sign, size = match.groups(default="")
    lone = _LONE.fullmatch(body)
    alone = body.endswith("]") or (lone and not _MOLECULE.fullmatch(lone[1] + digits + sign))
    apart = len(low) > 1 or (alone if len(digits) == 1 else digits[-1:] in "2345678" and not body.endswith("H"))
    if digits and not size and apart:
        digits, size = digits[:-1], digits[-1]
    return f"{body}{low}{digits}^{'' if size == '1' else size}{sign}"


def _one_dot(formula: str) -> str:
    r"""The dot of a hydrate, written `\cdot`, `.` or `*`."""
    formula = re.sub(r"\\cdot|[.*]", ".", formula)
    whole = re.fullmatch(r"\(([^()]*(?:\([^()]*\)[^()]*)*)\)", formula)
    return whole[1] if whole and len(whole[1]) > 2 else formula  # "(C)" is a choice

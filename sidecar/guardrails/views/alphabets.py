"""Characters that stand for others: which letters look alike, which ones are not seen at all.

Compatibility decompositions (fullwidth, mathematical, circled and the like) come from Unicode itself; here is what
Unicode does not decompose. A look-alike is only read as its Latin twin next to Latin letters, so the table may be
generous: nothing in it changes a Russian or Greek text.
"""

from __future__ import annotations


def _pairs(strange: str, latin: str) -> dict[str, str]:
    return dict(zip(strange.split(), latin.split(), strict=True))


CYRILLIC = _pairs(
    "а в с ԁ е ё ғ г ԍ һ н і ї ј к қ ӏ м п о р ԛ г я ѕ т ц ѵ ԝ ш щ х у ү ч з ӡ ь ъ ы э и й л "
    "д ж б ф ю ћ ђ є є ґ ҙ ҫ ұ ҳ ӕ",
    "a b c d e e f r g h h i i j k k l m n o p q r r s t u v w w w x y y y e z b b bl e u u n "
    "d x b o io h h e e r e c y x ae",
) | _pairs(
    "А В С Ԁ Е Ё Ғ Ԍ Н І Ї Ј К Ӏ М П О Р Ԛ Я Ѕ Т Ц Ѵ Ԝ Х У Ү З Ь И Г Д Ф Є",
    "A B C D E E F G H I I J K I M N O P Q R S T U V W X Y Y E B N R D O E",
)
GREEK = _pairs(
    "α β γ δ ε ζ η θ ι κ λ μ ν ξ ο π ρ ς σ τ υ φ χ ψ ω ϲ ϳ ϐ ϵ ϱ ϕ ϖ",
    "a b y d e z n o i k l u v e o n p s o t u o x w w c j b e p o w",
) | _pairs(
    "Α Β Γ Δ Ε Ζ Η Θ Ι Κ Λ Μ Ν Ξ Ο Π Ρ Σ Τ Υ Φ Χ Ω Ϲ Ϳ", "A B R A E Z H O I K A M N E O N P E T Y O X O C J"
)
ARMENIAN = _pairs(
    "ա բ գ ե զ է ը հ յ ն ո պ ս ց ք օ ւ ղ ռ տ լ ի կ մ", "w p q t q t n h j u n w u g p o i n n u l h u u"
) | _pairs("Լ Օ Ս Տ Հ Ո Ք", "L O U S Z N P")
CHEROKEE = _pairs(
    "Ꭰ Ꭱ Ꭲ Ꭵ Ꭺ Ꭻ Ꭼ Ꮃ Ꮇ Ꮋ Ꮍ Ꮐ Ꮑ Ꮒ Ꮓ Ꮖ Ꮗ Ꮤ Ꮥ Ꮦ Ꮩ Ꮪ Ꮮ Ꮯ Ꮲ Ꮳ Ꮶ Ꮷ Ꮹ Ꮻ Ꮽ Ᏻ Ᏼ",
    "D R T i A J E W M H Y G A h Z I W W S I V S L C P G K d G O O G B",
)
LATIN = _pairs(
    "ᴀ ʙ ᴄ ᴅ ᴇ ꜰ ɢ ʜ ɪ ᴊ ᴋ ʟ ᴍ ɴ ᴏ ᴘ ꞯ ʀ ꜱ ᴛ ᴜ ᴠ ᴡ ʏ ᴢ ɑ ɐ ɒ ɓ ƀ ƃ ɕ ƈ ȼ đ ɖ ɗ ð ǝ ə ɘ ɛ ɜ ƒ "
    "ɟ ɡ ɠ ǥ ħ ɦ ɥ ı ɨ ᴉ ȷ ɉ ɾ ƙ ʞ ł ɫ ɭ ƚ ɯ ɱ ɰ",
    "a b c d e f g h i j k l m n o p q r s t u v w y z a a a b b b c c c d d d d e e e e e f "
    "f g g g h h h i i i j j r k k l l l l m m m",
) | _pairs(
    "ŋ ɲ ɳ ƞ ø ɔ ɵ ƥ þ ʠ ɋ ɹ ɻ ɽ ɼ ʂ ß ſ ƽ ŧ ƭ ʈ ʇ ʉ ʊ ʋ ʌ ⱴ ʍ ƴ ʎ ɏ ƶ ʐ ʑ ȥ æ œ Đ Ð Ħ Ł Ø Ŧ "
    "Þ Æ Œ Ɓ Ɖ Ɗ Ƒ Ɠ Ƙ Ɲ Ƥ Ƭ Ʋ Ƴ Ƶ",
    "n n n n o o o p p q q r r r r s ss s s t t t t u u v v v w y y y z z z z ae oe D D H L O "
    "T P AE OE B D D F G K N P T V Y Z",
)
LISU = _pairs(
    "ꓮ ꓐ ꓚ ꓓ ꓰ ꓝ ꓖ ꓧ ꓲ ꓙ ꓗ ꓡ ꓟ ꓠ ꓳ ꓑ ꓣ ꓢ ꓔ ꓴ ꓦ ꓪ ꓫ ꓬ ꓜ", "A B C D E F G H I J K L M N O P R S T U V W X Y Z"
)
COPTIC = _pairs("ⲁ ⲃ ⲅ ⲉ ⲓ ⲕ ⲙ ⲛ ⲟ ⲣ ⲥ ⲧ ⲩ ⲭ ⲱ ϩ", "a b r e i k m n o p c t y x w s")
SIGNS = _pairs(
    "€ £ ¥ ¢ § ¡ ∂ ∑ ∏ √ ∩ ∪ ∨ ∧ ∞ ⊂ ∅ ∆ ∇ ⊤ ⊥ ∈ ∃ ℓ ℮", "e l y c s i d e n v n u v a oo c o a v t t e e l e"
)
"""Signs that stand for letters, but only inside of words."""

TWINS = dict(
    zip(
        "асеорхуіјѕһԁԛԝӏАВСЕНІЈКМОРЅТХУԌԚԜονΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
        "aceopxyijshdqwlABCEHIJKMOPSTXYGQWovABEZHIKMNOPTYX",
        strict=True,
    )
)
"""Those that cannot be told from Latin letters even with a good eye, so that whole words are written in them."""

LOOK_ALIKES = CYRILLIC | GREEK | ARMENIAN | CHEROKEE | LATIN | LISU | COPTIC | SIGNS

PUNCTUATION = dict.fromkeys("‘’‚‛′ʹʻʼʽˈ＇`´", "'") | dict.fromkeys("“”„‟″«»＂", '"')
PUNCTUATION |= (
    dict.fromkeys("‐‑‒–—―−⁃﹘﹣－", "-") | dict.fromkeys("·•∙⋅․・", ".") | dict.fromkeys("⁄∕⧸", "/")
)
PUNCTUATION |= dict.fromkeys("ǃⵑ", "!") | {
    "ʔ": "?",
    "։": ":",
    "׃": ":",
    "∶": ":",
    "꞉": ":",
    "٪": "%",
    "⁎": "*",
    "∗": "*",
    "٭": "*",
}
PUNCTUATION |= {
    "\u2028": "\n",
    "\u2029": "\n",
    "\x85": "\n",
    "\u2800": " ",
    "\u3164": " ",
    "\uffa0": " ",
    "\u1680": " ",
    "\u180e": "",
}
del PUNCTUATION["`"]

LETTERS_IN_SHAPES = {
    chr(first + index): chr(letter + index)
    for first, letter in (
        (0x1F110, 65), (0x1F130, 65), (0x1F150, 65), (0x1F170, 65), (0x1F1E6, 65),
        (0x249C, 97), (0x24B6, 65), (0x24D0, 97),
    )
    for index in range(26)
} | {chr(0x2776 + index): str(index + 1) for index in range(9)}  # fmt: skip
"""Circled, squared, parenthesised, negative and regional letters."""

REGIONAL = range(0x1F1E6, 0x1F200)

ORDINARY = frozenset("™®©²³¹½¼¾ºª…№℃℉°µ")
"""Signs of honest text. They are read too, but are no reason to read a text again."""

_UNDRAWN = (
    range(0xAD, 0xAE), range(0x34F, 0x350), range(0x61C, 0x61D), range(0x115F, 0x1161), range(0x17B4, 0x17B6),
    range(0x180B, 0x1810), range(0x200B, 0x2010), range(0x202A, 0x202F), range(0x2060, 0x2070),
    range(0xFE00, 0xFE10),
    range(0xFEFF, 0xFF00), range(0xFFF0, 0xFFFD), range(0x1BCA0, 0x1BCA4), range(0x1D159, 0x1D15A),
    range(0x1D173, 0x1D17B), range(0xE0000, 0xE0080), range(0xE0100, 0xE01F0),
)  # fmt: skip
INVISIBLE = frozenset(chr(code) for codes in _UNDRAWN for code in codes)
"""What Unicode calls default ignorable, and what draws nothing: zero width, joiners, bidirectional controls, soft
hyphens, variation selectors, tags, fillers, interlinear annotation."""

"""What an injection looks like, as shapes over the letters of tokens (see words.py).

The letters of a text are themselves a short text, so RE2 finds the shapes in linear time. Rules differ in how much
they take for granted: `ANYWHERE` holds in every text that is read from any place; `OPENING` only from the very
first quote or the beginning of a text, for what is harmless in the middle of code; `WHOLE` must be all of a text.
"""

from __future__ import annotations

from typing import Final

from sidecar.guardrails.re2_set import Patterns

_P = "[LtoA]*"  # signs, not, parentheses before an operand
_END = "[RLs]*Z?(?:c|$)"
_K = "[nsb]"  # a constant
_KX = f"{_P}{_K}(?:R*[odG]{_P}{_K})*R*"  # constants joined by operators
_BREAK = "(?:QR*)"
_VAL = f"{_P}[nsbuvwyf]"  # any operand

ANYWHERE: Final = Patterns(
    {
        # ' or 1=1   ' or 'a'='a   ' and 3>2   ' or 1 like 1   ' or true--
        "INJECTION_TAUTOLOGY": f"{_BREAK}(?:a{_KX}[el][telA]*{_P}[nsbu]|[aV]{_P}[nb]{_END}|a{_P}(?:ss|su){_END})",
        # ' or x='1   ' or name like '%   with the quote left open for the one that follows
        "INJECTION_CONDITION": f"{_BREAK}a{_P}w(?:dw)*R*(?:e+|t*l)[tl]*{_P}(?:u$|[nsb]{_P}R*Z?c)",
        # union select 1   union all (select null   1 union select x from y   union select *
        "INJECTION_UNION": (
            "UA*L*SA*(?:[nsbvfxpouLCGi]|Rc|c|w[GdcL]|w?wF|ow|$)|[nQRs]UA*L*S|UA*L*[SF]k?$|UkS"
            "|UA*L*SA*wF[wy](?:[ZWRc]|$)|QUA?$"
        ),
        # '; drop table x   1; exec   '; waitfor
        "INJECTION_STACKED": (
            "Q[RL]*Z+(?:[SXDTH]|i[Lt]|O[wv])|QR*(?:H(?:k[wsI]|[wI]k?[wL])|Dv|Xw)|^nR*Z+(?:SA*[nbvsfpxouL]|S.{0,9}F|D|T"
            "|H[kF]|X[wzLv]|HIw|H(?:w|k)$)|QR*Z+S?$|QZ+(?:w|k)c$"
        ),
        "INJECTION_TIME": "[QaSeGLnoUiWRZkw](?:RL|[aL])*pL[A-Za-z]*[nsvf]|T[kw]?[sun]|T[kw][Qvs]|Hsk?s?T|TkQ?",
        "INJECTION_ERROR": "[QaSeGLnoUiW]+(?:wd)*xL+[bnwsSLf]|xL[nsbw]G|wdxL",
        "INJECTION_SCHEMA": "SA*[^ZS]{1,60}F[wd]{0,4}y|Fy(?:dw)?[^w]*$|LSA*[^ZS]{1,40}y",
        "INJECTION_SYSTEM": "(?:X|[Z])(?:w?d+)*z|X(?:wd+)*[Qszu]|zL|zs|zQ|I[k]s|IkQ|^(?:wd+)*z$|Ik[Lfv]",
        "INJECTION_SUBQUERY": (
            "[QaenGoSl]L+SA*(?:[nsvbuofxpwLi]|$)|LSA*(?:[fxp]L|o?[F]|v|nR|oF)|LSA*[^ZS]{1,60}F[wyL]|LSA*w(?:dw)*[RG]{1,3}$"
        ),
        "INJECTION_CASE": "[QaGeoLnS]L*CL*(?:k|S|n)|[aGoQeS]L*[if]LS|iL[^ZR]{0,20}pL",
        "INJECTION_HAVING": f"V{_KX}e{_P}[nsbu]|QR*(?:BYw(?:[Gd]w)*)V",
        "INJECTION_ORDER": f"[QRn]BY{_P}[nwf](?:[Gd]{_P}[nwbsf])*[LRso]*(?:c|$)|[QR]BY{_P}[nLw]",
        "INJECTION_CONCAT": f"Q[oa]+{_P}(?:[fpx]L|LS|v[oadG]|w(?:dw)*L|s?[oa]+Q|nL|n[oaR]+[su]|s[oa]+[su]|v[R]*[oa]|i)",
        "INJECTION_FUNCTION": f"(?:Q[RGoae]+|^nR?[oa]){_P}[fxp]L",
        "INJECTION_COMMENT": "QR*[oZ]*(?:c$|cS)|Q[RG]*[nb]?(?:R*[oZ]?c$)",
    },
    max_mem=8 << 20,
)
OPENING: Final = Patterns(
    {
        "INJECTION_TAUTOLOGY": (
            f"^[LR]*(?:[nsvw][LR]*|c)?aR*{_KX}[e][e]*{_P}[nsbu]|^[nw]R*(?:a{_P}[nb]R*c)|^[nRL]*[aV]{_P}n[el]+{_P}n"
            f"|^[nR]+[aV]{_P}(?:s[el]|ne)"
        ),
        "INJECTION_CONDITION": (
            f"Q[RZ]*a+{_P}(?:[wybf][dwL]*R*[tA]*[el]|[fxpy]|LS|C|v[eoRa]|n[ael]|s[ael]|w(?:dw)*L|[tL]*k)|^nR*a+{_P}(?:LS|[fxp]L|v|nR*[eo]+|w[dw]*R*[e])"
            "|^nR*[oa]+LS|Ql[tlA]*(?:[us]|L)|Q[e]+[RLto]*[snbfvu]|Qa[uQ]$|Qt?l+[LtbsnwA]|Qe+w|^[nQ]R*[W]w?[ebt]"
        ),
        "INJECTION_FUNCTION": "^[nQ]?R*(?:a|[oG])*[fpx]L[^Z]{1,80}R[RGos]*(?:c|$)",
        "INJECTION_COMMENT": "^w?QR*[oGZns]*c",
    },
    max_mem=8 << 20,
)

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
_BREAK = "(?:Qn?s?R*)"  # a literal ends, perhaps with some left over, and parentheses with it
_OPERAND = "[LRto]*[nsbvwyfk](?:d[wk])*(?:LR)?R*"
_OPERATOR = "[oaelmt]+"
_CMP = "[elm][telmA]*"
_ORDER = f"BY{_P}(?:n|f)(?:[Gd]{_P}[nwbsf])*[LRo]*(?:c|$)"
_HEAD = "(?:H[kIFw]|SA*[nbvsfpxouL]|Dv|Tw|X(?:w|z|L|v|s|k))"  # a statement that has begun in earnest

ANYWHERE: Final = Patterns(
    {
        # ' or 1=1   ' or 'a'='a   ' and 3>2   ' or 1 like 1   ' or true--
        "INJECTION_TAUTOLOGY": f"{_BREAK}(?:a{_KX}{_CMP}{_P}[nsbu]|[aV]{_P}[nb]{_END}|a{_P}(?:ss|su){_END})",
        # ' or x='1   ' or name like '%   with the quote left open for the one that follows
        "INJECTION_CONDITION": f"{_BREAK}a{_P}w(?:dw)*R*(?:e+|t*l)[tl]*{_P}(?:u$|[nsb]{_P}R*Z?c)",
        # union select 1   union all (select null   1 union select x from y   union select *
        "INJECTION_UNION": (
            "UA*L*SA*(?:[nsvbfxpouLCGi]|Rc|c|w[GdcL]|w?wF[wy](?:[ZWRcdBG]|$)|ow|$)|[nQRs]UA*L*S|UkS|QUA?c?$"
        ),
        # '; drop table x   1; exec   '; waitfor
        "INJECTION_STACKED": f"Q[RL]*Z+{_HEAD}|Dvw[LZeSXO]|QR*(?:Dv|Hkwc|Tws)",
        "INJECTION_TIME": "(?:[QaSLUiWRn]|n[eG]|Q[eG])(?:RL|[aL])*pL|T[kw]+[suQv]|BYpL|^(?:[oZR]"
        "|w)?pL[^Z]*R[RGosu]*(?:c|$)|^pL[no]+R|zdpL",
        "INJECTION_ERROR": "[QaSeGLnoUiW]+(?:wd)*xL+[bnwsSLfv]|xL[nsbw]G|zd[xw]L",
        "INJECTION_SCHEMA": "SA*[^ZS]{1,60}F[wd]{0,4}y|LSA*[^ZS]{1,40}y|[Q]a[^Z]{0,20}y",
        "INJECTION_SYSTEM": "X(?:[wk]?d+)*z|[ZQn]z|[ZRn]X(?:wd+)*[szu]|QX(?:wd+)*[sz]|z[LQ]|zs|Ik[suQ]"
        "|^(?:wd+)*z$|Ik[Lfv]",
        "INJECTION_SUBQUERY": (
            "[QaenGoSl]L+SA*(?:[nsvbuofxpLi]|w(?:dw)*[FGRL])|LSA*(?:[fxp]L|lL|o?F|v|nR|oF)"
            "|LSA*[^ZS]{1,60}F[wyL](?:[RWdc]|$)"
        ),
        "INJECTION_CASE": "[QaGeoLnS]L*C(?:k|L+S|nk)|[aGoQeS]L*[if]LS|iL[^ZR]{0,20}pL",
        "INJECTION_HAVING": f"V{_KX}e{_P}[nsbu]|QR*(?:BYw(?:[Gd]w)*)V",
        "INJECTION_ORDER": f"[QRn]{_ORDER}",
        "INJECTION_CONCAT": f"Q[oa]+{_P}(?:[px]L|LS|v[oadG])",
        "INJECTION_FUNCTION": f"Q[RGae]+{_P}[xp]L",
    },
    max_mem=8 << 20,
)
OPENING: Final = Patterns(
    {
        "INJECTION_TAUTOLOGY": (
            f"^[LR]*(?:[nsvw][LR]*|c)?aR*{_KX}e+{_P}[nsbu]|^[nw]R*(?:a{_P}[nb]R*c)"
            f"|^[nRL]*[aV]{_P}n(?:e|t?l)+{_P}n"
            f"|^[nR]+[aV]{_P}(?:s[el]|ne)|[aW]{_P}{_K}e+{_P}[nsb]R*(?:c|$)|Q[^Z]*a{_P}[nsb]{_CMP}{_P}u$"
            f"|^R*a{_P}s{_CMP}{_P}s|[^w]a{_P}[nb]R*c$|^na{_P}(?:b|v)R*$|QR*a{_P}(?:b$|L?[bwv]R?[L]?c)"
        ),
        "BARE:INJECTION_TAUTOLOGY": "^R*aL*(?:bR*(?:c|$)|nR*c)",
        "SAME:INJECTION_TAUTOLOGY": f"a{_P}wew",
        "INJECTION_CONDITION": (
            f"Q[nsRZ]*a+{_P}(?:[wybf][dwL]*R*[tA]*[elm]|[fxpy]L?|LS|C|v[eoRa]|n[aelm]|s[aelm]"
            f"|w(?:dw)*L|[tL]*k)"
            f"|^nR*a+{_P}(?:LS|[fxp]L|v|nR*[eo]+|[wb][dw]*R*e)"
            f"|^nR*[oa]+LS|Ql[tlA]*L|Qe+[RLto]*[snbfvu]|Qasu?$|Qa+u$|Qt?l+[LtbsnwA]|^[nQ]R*Ww?[ebt]"
            f"|Q(?:{_OPERATOR}{_OPERAND})+[oaelmt]*[elm][oaelmtL]*u$"
            f"|Q{_OPERATOR}{_OPERAND}(?:{_OPERATOR}{_OPERAND})*{_OPERATOR}u$"
            f"|^[nQ]?R*a{_P}ne{_P}[fpxwv]L|Qm[tb]|QR*a{_P}w(?:dw)*[oelm]+{_P}[nsbv]"
        ),
        "INJECTION_FUNCTION": f"Q[RGae]+{_P}fL|^[nQ]?R*(?:a|[oG])*[fpx]L[^Z]{{1,80}}R[RGos]*c$"
        f"|^no{_P}[fxp]L|^fL[ns]*Ra{_P}fL|^n[oa]+{_P}n[oa]+[fxp]L",
        "INJECTION_COMMENT": (
            "^QR*[oZns]*c$|^[LtoA]*[nsvbfl][LRnsvbfalmotSG]*c$|^w?QR*[oZ]*c|Q[LtoAalm]+[LRnsvbfalmotSG]*c$"
        ),
        "INJECTION_UNION": "^[wv]UA*L+S|^o?n?o?LUA*L*S|^o?nUA?c?$|^o?nw?R*UA*L*S|^wR*UA*S|QR*UA*c?$"
        "|^S[^Z]*UA*SA*w$",
        "INJECTION_ORDER": f"^{_ORDER}|QR*BY{_P}[nL]",
        "INJECTION_STACKED": (
            f"^(?:n|w?R+)?Z+{_HEAD}|QR*(?:ww|n|w)?(?:Hkww?[OcZL]|HIw(?:dw)*L|Dv|Sv)"
            f"|Q[RL]*Z+(?:i[Ln]|O[wv]|h)|^nZ+(?:h[wk][Lsw]|Hwc)|^[wn]?R+Z+[hifSH]"
            f"|^nR*(?:HIw|Hkwc?$|XwL|Xz|Hw[Ow])|Q[RZ]*S(?:c|$|v|[nsb]?F|wc?$)|QR*Xw"
        ),
        "INJECTION_SYSTEM": "^XL?[szu]",
        "INJECTION_CONCAT": f"Q[oa]+{_P}(?:fL|n[R]*[oa]+u$)",
        "INJECTION_CASE": "^C[nsbv]k[nsbvo]|^Ckl*[bns]|^nC",
        "INJECTION_FRAGMENT": f"^SA*(?:[otv]|L+[nsvb]|[fpx]L|n[GoL])|^[WV]{_KX}e|^F[wy]W|^[R]+(?:[aUWZ]|BY)",
    },
    max_mem=8 << 20,
)
DIRECT: Final = Patterns(
    {
        # the whole of a text: x' + 'y   ' not like '
        "INJECTION_CONCAT": (
            r"(?:\A|\x1f)(?:[^\s'\"\x1f]+['\"]\s*[-+*/%&|^<>=]{1,3}\s*['\"]"
            r"|[^\s'\"\x1f]*['\"]\s+[-+*/%&|^<>=]{1,3}\s+['\"]"
            r"|[^\s'\"\x1f]*['\"]\s*(?:not\s+(?:like|in|regexp|rlike)|regexp|rlike|div"
            r"|xor)\s*['\"]|[^\s'\"\x1f]+['\"]\s*(?:like|glob|mod|or|and|&&)\s*['\"])[^\s'\"\x1f]*(?:\x1f|\z)"
        ),
        "INJECTION_OBFUSCATED": (
            r"\b(?:union|select|or|and|from|where)/\*[^*\x1f]*\*/\s*(?:all|select|\w+\s*[=(,]|from|where|\d)"
            r"|\b(?:un|uni|unio|se|sel|sele|selec)/\*[^*\x1f]*\*/(?:n|on|ion|t|ct|ect|lect)\b"
            r"|/\*!\d*\s*(?:union|select|or|and|from|where|concat|order|group|into|drop)\b"
        ),
    },
    max_mem=8 << 20,
    ignore_case=True,
)

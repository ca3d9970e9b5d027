"""What has to stand in a text before it is worth reading as SQL: one walk for all of it, which benign text passes.

No pattern counts (no `{0,40}`), so the automaton stays small. `_G` is what may stand between two tokens.
"""

from __future__ import annotations

from typing import Final

from sidecar.guardrails.re2_set import Patterns

_G = r"(?:[^\w\x1f]|%[02][0-9a]|/\*[^*\x1f]*\*/)*"
_S = r"(?:[\s\xa0+(]|%[02][0-9a]|/\*[^*\x1f]*\*/)+"
_LOGIC = r"(?:\b(?:or|and|xor|having)\b|\d(?:or|and|xor)\b|\b(?:or|and)\d|%20(?:or|and)\b|\|\||&&)"
_HEAD = (
    r"(?:select|insert|update|delete|drop|truncate|alter|create|grant|revoke|merge|replace|exec|execute|call|copy|load"
    r"|backup|restore|shutdown|kill|attach|pragma|show|declare|begin|rename|with|explain|waitfor|prepare|handler"
    r"|dbcc|use|set|if|do)"
)
_QUOTE = r"['\"\x60‘’]"

GATE: Final = Patterns(
    {
        "comparison": rf"{_LOGIC}{_G}(?:not{_G})?[\w.@]*{_G}[=<>!]{_G}[\w'\"@]",
        "quoted": rf"{_QUOTE}{_G}{_LOGIC}{_G}(?:not\b{_G})?[\w.@]*(?:['\"(=<>!]|{_S}(?:like|in|is|between|rlike|regexp|exists|not)\b|[^\w\x1f]*(?:--|#|\x1f|\z))",
        "probe": rf"(?:\A|[\x1f'\"`)\d]){_G}{_LOGIC}(?:{_S})?(?:not{_S}|exists{_S})*(?:[\w.]+(?:{_S})?\(|\(|@|\d+{_G}(?:\x1f|\z))",
        "union": r"union[^\w\x1f]*(?:(?:all|distinct)[^\w\x1f]*)?(?:/\*[!\d\s]*)?select|\b(?:intersect|except|minus)[^\w\x1f]+select\b"
        r"|['\"]\W*union\b",
        "split": r"\b(?:un|uni|unio|se|sel|sele|selec|fr|fro|whe|wher|o|an|ex|exe)/\*|\*/(?:union|select|from|where|and|or|exec|sleep)\b"
        r"|/\*!\d*\w|\b(?:select|union|from|where|and|or|order|insert|exec)/\*",
        "subquery": r"[=(,|&+'\"]\s*select\b|\bselect\s*\(",
        "statement": rf"(?:\A|\x1f|[;'\")]|\d;)[\s(;'\")%]*{_HEAD}(?:[^\w\x1f]*\([^\w\x1f]*|[^\w\x1f]+)(?:[\w@*.$]|['\"`\[/-]|\z)",
        "from": r"\bselect\b[^\w\x1f]*(?:[\w.@*(),\s]*)\bfrom\b",
        "ends": r"(?:[\d)'\"]|@\w+)\s*(?:--|#|/\*)\s*(?:\x1f|\z)|(?:\A|\x1f)[\s(;)]*(?:order|group)\s+by\s+\d",
        "begins": r"(?:\A|\x1f)\s*\w*\)+\s*(?:;|or\b|and\b|union\b|order\b)|(?:\A|\x1f)\s*case\s",
        "hashed": r"(?:#|--)[^\n\x1f]*\n\s*(?:union|or|and|select)\b",
        "arithmetic": r"(?:\A|\x1f)\s*-?\d+\s*[-+*/|&]+\s*\(*\s*(?:\d+\s*[-+*/]\s*)?(?:ascii|length|substr|substring|select|char|ord|char_length)\b",
        "operator": r"(?:\A|\x1f)[^\s'\"\x1f]*['\"]\s*(?:[-+*/%&|^<>=]+|(?:not\s+)?(?:like|regexp|rlike|glob|div|mod|xor|is|in))\s*[('\"!\w+-]",
        "tail": r"['\"`)][^\w\x1f]*(?:--|#|/\*|;)[^\w\x1f]*(?:\x1f|\z)|['\"][^\w\x1f]*(?:--|#|/\*)",
        "waits": r"\b(?:pg_sleep|benchmark|waitfor|waifor|dbms_pipe|dbms_lock|randomblob|receive_message)\b|\bsleep[^\w\x1f]*\(",
        "tells": r"\b(?:extractvalue|updatexml|utl_inaddr|utl_http|load_file|outfile|dumpfile|name_const|ctxsys|xmltype|httpuritype"
        r"|openrowset|opendatasource|load_extension|lo_import|dbms_ldap|dbms_xmlgen|[xs]p_[a-z]+|geometrycollection|multipoint|polygon|linestring)\b",
        "computes": r"\b(?:cha?r|concat|concat_ws|group_concat|ascii|substr|substring|mid|convert|cast|unhex|hex|version|database|user|load"
        r"|make_set|elt|exp|length|if|iif|case|json_keys|current_user)[^\w\x1f]*\([^\w\x1f]*(?:\d|select\b|@@|0x|'|\)|user\b|version\b|database\b)",
        "variable": r"@@[a-z]|\bdeclare\s+@|0x[0-9a-f]{6}",
        "order": r"\b(?:order|group)[^\w\x1f]+by[^\w\x1f]+\d|['\"][^\w\x1f]*(?:order|group)[^\w\x1f]+by\b",
        "schema": r"\binformation_schema\b|\bsys(?:objects|columns|users|databases)\b|\bsqlite_master\b|\bpg_(?:catalog|shadow|user)\b",
        "immediate": rf"\b(?:exec|execute)\b{_G}(?:immediate|master|\(|xp_|sp_|@|')",
        "case": r"\bcase[^\w\x1f]+when\b",
        "equals": r"['\"]\s*(?:=|\|\||&&|<=>|!=|<>|\blike\b|\brlike\b|\bin\b|\bbetween\b|\bdiv\b|\bmod\b|\^|\*|%|-|\+|\|)\s*(?:['\"(~!]|\d+\b|0x|\w+\()",
    },
    max_mem=16 << 20,
    ignore_case=True,
)

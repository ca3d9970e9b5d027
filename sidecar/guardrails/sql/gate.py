"""What has to stand in a text before it is worth reading as SQL: one walk for all of it, which benign text passes.

No pattern counts (no `{0,40}`), so the automaton stays small. `_G` is what may stand between two tokens.
"""

from __future__ import annotations

from typing import Final

from sidecar.guardrails.re2_set import Patterns

_G = r"(?:[^\w\x1f]|%[02][0-9a]|/\*[^*\x1f]*\*/)*"
_S = r"(?:[\s\xa0+(]|%[02][0-9a]|/\*[^*\x1f]*\*/)+"
_LOGIC = r"(?:\b(?:or|and|xor|having)\b|\d(?:or|and|xor)(?:\b|\d)|%20(?:or|and)\b|\|\||&&)"
_THING = (
    r"(?:table|database|schema|view|index|procedure|proc|function|trigger|user|role|login"
    r"|sequence|type|column|domain"
    r"|extension|server|tablespace|unique|temp|temporary|or\s+replace|materialized|external"
    r"|global|event|policy|session"
    r"|publication|rule|synonym|package|assembly|recursive|stage|warehouse|stream|algorithm"
    r"|definer|aggregate|system)\b"
)
_STATEMENT = (
    r"(?:select\b[^\w\x1f]*(?:[*'\"(@\[\x60~+-]|\d+\s*(?:[,;+*/)=<>-]|--|#|from\b|union\b|as\b"
    r"|where\b|\z|\x1f)"
    r"|(?:all|distinct|top|null|case|cast|not|exists|current_user|if|count|interval|sql_no_cache)\b"
    r"|[\w.$\"\x60]+(?:\s*[,(=+*/|<>:.;\[-]|\s+(?:as\s+)?[\w\"]*\s*(?:,|from\b|is\b|like\b|in\b)"
    r"|\s*(?:\z|\x1f|union\b)))"
    r"|with\s+(?:recursive\s+)?[\w\"\x60]+\s*(?:\([^)\x1f]*\)\s*)?as\s*(?:not\s+)?(?:materialized\s*)?\("
    r"|insert\s+(?:into|overwrite|ignore|or|all|low_priority|delayed)\b|update\s[^\x1f]*\bset\b"
    r"|delete\s+(?:\w+\s+)?(?:from|top)\b"
    rf"|(?:drop|create|alter)\s+{_THING}|truncate\s+[\w\"\x60\[]|(?:grant|revoke)\s[^\x1f]*\b(?:on"
    rf"|to|from)\b|(?:merge|replace)\s+into\b"
    r"|exec\b|execute\s*(?:immediate\b|[sx]p_|[(@']|[\w.]+\s*(?:['@(;]|\z|\x1f))"
    r"|call\s+[\w.]+\s*\(|copy\s+[\w.(\"]+[^\x1f]*\b(?:from|to)\b"
    r"|load\s+(?:data|xml)\b|backup\s+(?:database|log)\b|restore\s+(?:database|log)\b"
    r"|shutdown\s*(?:;|\z|\x1f|with|--)|kill\s+\d"
    r"|attach\s+database|pragma\s+\w|show\s+(?:tables|databases|columns|grants|processlist"
    r"|schemas|variables|create)\b"
    r"|declare\s+@|begin\s*(?:;|\z|\x1f|declare|select|delete|update|insert|tran|dbms)"
    r"|commit\s*(?:;|\z|\x1f)|rollback\s*(?:;|\z|\x1f)"
    r"|rename\s+(?:table|user)\b|explain\s+(?:\w+\s+)?(?:select|insert|update|delete|with)\b"
    r"|waitfor\b|prepare\s+\w+\s+from\b|dbcc\s+\w"
    r"|use\s+[\w\"\x60]+\s*(?:;|\z|\x1f)|set\s+@|(?:while|if)\s*\(?\s*\d+\s*=|if\s*\("
    r"|handler\s+\w+\s+(?:open|read)\b|do\s+(?:sleep|benchmark)\b)"
)
_QUOTE = r"['\"\x60‘’]"

GATE: Final = Patterns(
    {
        "comparison": rf"{_LOGIC}{_G}(?:not{_G})?[\w.@]*{_G}[=<>!]{_G}[\w'\"@]",
        "quoted": rf"{_QUOTE}{_G}{_LOGIC}{_G}(?:not\b{_G})?[\w.@]*(?:['\"(=<>!]|{_S}(?:like|in|is"
        rf"|between|rlike|regexp|exists|not)\b|[^\w\x1f]*(?:--|#|\x1f|\z))",
        "probe": rf"(?:\A|[\x1f'\"`)\d]){_G}{_LOGIC}(?:{_S})?(?:not{_S}"
        rf"|exists{_S})*(?:[\w.]+(?:{_S})?\(|\(|@|\d+{_G}(?:\x1f|\z))",
        "union": r"union[^\w\x1f]*(?:(?:all|distinct)[^\w\x1f]*)?(?:/\*[!\d\s]*)?select"
        r"|\b(?:intersect|except|minus)[^\w\x1f]+select\b"
        r"|['\"]\W*union\b",
        "split": r"\b(?:un|uni|unio|se|sel|sele|selec|fr|fro|whe|wher|o|an|ex|exe)/\*|\*/(?:union"
        r"|select|from|where|and|or|exec|sleep)\b"
        r"|/\*!\d*\w|\b(?:select|union|from|where|and|or|order|insert|exec)/\*",
        "subquery": r"[=(,|&+'\"]\s*select\b|\bselect\s*\(",
        "statement": rf"(?:\A|\x1f|[;'\")]|\d\s)[\s(;'\")%]*{_STATEMENT}",
        "bare": r"(?:\A|\x1f)[\s)]*(?:or|and)\s+(?:(?:true|false)\s*(?:--|#|/\*|\z|\x1f)|\d+\s*(?:--|#|/\*))"
        r"|\bby\s+sleep\s*\(|\d;(?:call|load|drop)\s|(?:\A|\x1f)[^\s'\"\x1f]*['\"]\s*(?:or|and)\s*['\"]",
        "ends": r"(?:[\d)'\"]|@\w+)\s*(?:--|#|/\*)\s*(?:\x1f|\z)|(?:\A|\x1f)[\s(;)]*(?:order"
        r"|group)\s+by\s+\d",
        "begins": r"(?:\A|\x1f)\s*\w*\)+\s*(?:;|or\b|and\b|union\b|order\b)|(?:\A|\x1f)\s*case\s",
        "hashed": r"(?:#|--)[^\n\x1f]*\n\s*(?:union|or|and|select)\b",
        "arithmetic": r"(?:\A|\x1f)\s*-?\d+\s*[-+*/|&]+\s*\(*\s*(?:\d+\s*[-+*/]\s*)?(?:ascii"
        r"|length|substr|substring|select|char|ord|char_length)\b",
        "operator": r"(?:\A|\x1f)\s*[^\s'\"\x1f]*['\"]\s*(?:[-+*/%&|^<>=]+|(?:not\s+)?(?:like"
        r"|regexp|rlike|glob|div|mod|xor|or|and|is|in)\b)\s*[('\"!\w+-]",
        "likes": r"\d\s+(?:or|and)\s+\d+\s+(?:not\s+)?(?:like|rlike|regexp|between)\b",
        "tail": r"['\"`)][^\w\x1f]*(?:--|#|/\*|;)[^\w\x1f]*(?:\x1f|\z)|['\"][^\w\x1f]*(?:--|#|/\*)",
        "waits": r"\b(?:pg_sleep|benchmark|waitfor|waifor|dbms_pipe|dbms_lock|randomblob"
        r"|receive_message)\b|\bsleep[^\w\x1f]*\(",
        "tells": r"\b(?:extractvalue|updatexml|utl_inaddr|utl_http|load_file|outfile|dumpfile"
        r"|name_const|ctxsys|xmltype|httpuritype"
        r"|openrowset|opendatasource|load_extension|lo_import|dbms_ldap|dbms_xmlgen|[xs]p_[a-z]+"
        r"|geometrycollection|multipoint|polygon|linestring)\b",
        "computes": r"\b(?:cha?r|concat|concat_ws|group_concat|ascii|substr|substring|mid|convert"
        r"|cast|unhex|hex|version|database|user|load"
        r"|make_set|elt|exp|length|if|iif|case|json_keys|current_user)[^\w\x1f]*\([^\w\x1f]*(?:\d"
        r"|select\b|@@|0x|'|\)|user\b|version\b|database\b)",
        "variable": r"@@[a-z]|\bdeclare\s+@|0x[0-9a-f]{6}",
        "order": r"\b(?:order|group)[^\w\x1f]+by[^\w\x1f]+\d|['\"][^\w\x1f]*(?:order|group)[^\w\x1f]+by\b",
        "schema": r"\binformation_schema\b|\bsys(?:objects|columns|users|databases)\b"
        r"|\bsqlite_master\b|\bpg_(?:catalog|shadow|user)\b",
        "immediate": rf"\b(?:exec|execute)\b{_G}(?:immediate|master|\(|xp_|sp_|@|')",
        "case": r"\bcase[^\w\x1f]+when\b",
        "equals": r"['\"]\s*(?:(?:=|\|\||&&|<=>|!=|<>|\b(?:like|rlike|in|between|div"
        r"|mod)\b)\s*(?:['\"(~!]|\d+\b|0x|\w+\()|[-+*%^|]\s*(?:\(\s*select\b|['\"]\s*[-+*%^|]|\w+\())",
    },
    max_mem=16 << 20,
    ignore_case=True,
)

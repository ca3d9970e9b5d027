"""The second tier: a value that looks like a secret, and stands beside a word like password.

A name with such a word, a sign of assignment, and a value: `api_key = "..."`, `"password": "..."`, `--token ...`,
`TOKEN=...`, `secret: ...`; and a key before its value, as texts of a message are joined. The word alone says
nothing, and neither does entropy: a name that says that its value is public, a value that is code, a placeholder
or a word, do not count.
"""

from __future__ import annotations

import re
from typing import Final

from sidecar.guardrails.secrets.checks import PLACEHOLDER, entropy, published, stepping

_WORDS = (
    r"passw(?:or)?d|passphrase|passwd|pwd|(?:[_-]|\b)pass|secret|token|credential|crumb|sonar[a-z.]{0,8}login"
    r"|(?:api|access|auth|private|account|licen[sc]e|encryption|signing|master|stream|developer|deploy|device|service"
    r"|insert|query|connect|consumer|app|client|shared|write|session|webhook|api[_-]?id)[_ -]?key|key[_-]?id"
)
_VENDORS = (
    r"adafruit|airtable|algolia|alibaba|asana|atlassian|bitbucket|bittrex|cloudflare|codecov|codeclimate|cohere|coinbase"
    r"|confluent|contentful|datadog|discord|droneci|dropbox|etsy|facebook|fb|fastly|finicity|finnhub|flickr|freshbooks|heroku"
    r"|gitalk|gitter|jfrog|jira|confluence|kraken|kucoin|launchdarkly|linkedin|mailchimp|mailgun|mattermost|meraki"
    r"|messagebird|nasa|netlify|nytimes|okta|openweather|particle|plaid|postmark|rapidapi|sauce|segment|sendbird|sentry"
    r"|shodan|snyk|sonar|spotify|squarespace|sumo|thingsboard|travis|trello|tweet|twilio|twitch|twitter|unsplash|virustotal"
    r"|weather|kagi|yandex|yelp|zendesk|zoom"
)
_SIGN = r"""(?:[\\"'`\])]|&quot;){0,4}[ \t]{0,4}(?::=|=>|===?|!==?|<-|[=:,|]|\x1f|[ \t]["'])"""
_OPENING = r"""(?:[ \t]|\\?["'`]|&quot;|r"){0,6}"""
ASSIGNMENT: Final = (
    rf"(?i)(?:{_WORDS})(?:[\w.-]{{0,32}}){_SIGN}{_OPENING}([^\s\"'`\x1f,;<>()\\&]{{5,}})",
    rf"(?i)\b(?:{_VENDORS})[\w.-]{{0,32}}{_SIGN}{_OPENING}([A-Za-z0-9_=+/.-]{{15,}})",
    r"""(?i)--(?:password|token|secret|api-?key|auth-?token|access-?key|pass)"""
    r"""[ \t]+([^\s"'`\x1f<>$(){-][^\s"'`\x1f<>()]{5,})""",
    rf"(?i)(?:{_WORDS})[\w.-]{{0,32}}[\"']?[ \t]{{0,4}}(?:[=:]|=>)[ \t]{{0,4}}"
    r"""(?:"([^"\s\x1f]{8,200})"|'([^'\s\x1f]{8,200})')""",
    rf"(?i)<[\w:.-]{{0,32}}(?:{_WORDS})[\w.-]{{0,32}}>\s{{0,4}}([^<>\s\x1f]{{5,}})\s{{0,4}}</",
    rf"(?i)\b(?:name|key)\s?=\s?[\"'][\w.:-]{{0,32}}(?:{_WORDS})[\w.-]{{0,32}}[\"']"
    r"(?:\s{1,4}value\s?=\s?[\"']|[^<>\x1f]{0,40}>\s{0,8}(?:<value>\s{0,4})?)([^\"'<>\s\x1f]{5,})",
    rf"(?i)(?:{_WORDS})[\w.-]{{0,32}}[\"']?\s?[=:]\s?[\w.$()\[\]\"']{{1,60}}\s?(?:\|\||\?\?|\bor\b)\s?[\"']"
    r"([^\s\"'\x1f]{5,})[\"']",
)
"""RE2. The first group that took part is the value."""

_PASSWORD = re.compile(r"(?i)pass|pwd")
_WEAK = re.compile(r"(?i)(?:jwt|session|cookie|hmac|signing).{0,8}secret|secret.{0,4}jwt|secret_key_base")
"""Secrets that people choose by themselves, as they do passwords."""
_KEYLIKE = re.compile(r"(?i)secret|token|key|crumb|login|cred|passw")
_PUBLIC = re.compile(
    r"(?i)public|csrf|x-amz|tokeniz|(?:type|url|uri|size|length|file|path|scope|(?<!ac)count|label|names?|hint|policy)s?$"
)
_PUBLIC_PARTS = frozenset(
    (
        *(
            "url",
            "uri",
            "endpoint",
            "file",
            "path",
            "name",
            "names",
            "length",
            "size",
            "type",
            "scope",
            "scopes",
            "id",
        ),
        *(
            "ids",
            "arn",
            "expires",
            "expiry",
            "expiration",
            "expired",
            "expire",
            "issuer",
            "algorithm",
            "alg",
            "label",
        ),
        *(
            "field",
            "hint",
            "policy",
            "regex",
            "pattern",
            "strength",
            "min",
            "max",
            "format",
            "count",
            "limit",
            "version",
        ),
        *(
            "cache",
            "reset",
            "forgot",
            "validator",
            "input",
            "mask",
            "alias",
            "prefix",
            "suffix",
            "header",
            "param",
        ),
        *(
            "description",
            "help",
            "placeholder",
            "title",
            "message",
            "index",
            "primary",
            "foreign",
            "partition",
            "sort",
        ),
        *(
            "page",
            "next",
            "cursor",
            "continuation",
            "cancellation",
            "tokens",
            "kind",
            "status",
            "idempotency",
            "at",
        ),
    )
)
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_KEY_ID = re.compile(r"(?i)(?:api|access|secret)[_ -]?key[_-]?id|api[_-]?id[_ -]?key")
_CODE = re.compile(
    r"(?i)^(?:[a-z_$][\w$]*(?:\.|->|::)[\w$.>:-]*|[a-z_]\w*\[.*|\$?\w+\(.*|true|false|null|none|nil|undefined|string|bool"
    r"|boolean|int|integer|number|object|required|optional|secret|password|token|admin_?password|user_?password"
    r"|@\w+@?|%\w+%?|#[\w-]*[a-z-]#?|\*+|-+|_+|\.+|new|self|this|function|return|required|string|changeme|test)$"
)
_URL = re.compile(r"(?i)^(?:https?|file|s3|gs|git|ssh|arn|urn)[:/]|^/|^\./|^~/|^[A-Z]:\\")
_UUID = re.compile(r"(?i)^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
_HEX = re.compile(r"(?i)^[0-9a-f]+$")
_WORDLIKE = re.compile(r"^(?:[A-Za-z]+|[A-Za-z]+[a-z]\d?)(?:[_.:/-](?:[A-Za-z]+\d?|\d{1,3}))*$")
_NAMELIKE = re.compile(r"^[A-Za-z_.=-]+$")
_VARIABLE = re.compile(
    r"^[$%@{]|^#\{|\$\{|\{\{|\$\(|^\[|#\{|%\(|^env[.:]|^process\.|^os\.|^vault:|^enc\(|^secrets?\."
)

PASSWORD_LENGTH: Final = 5
KEY_LENGTH: Final = 15
VALUE_LENGTH: Final = 1024
"""Longer than this, a value is a document and no key."""


def judge(name: str, value: str, quoted: bool, listed: bool = False) -> tuple[str, float]:
    """Kind and certainty of a value beside a name; an empty kind where it is no secret.

    `quoted`: in quotation marks; `listed`: what stands between may also stand between two items of a list, like a
    comma, or the end of one text of a message.
    """
    if len(value) > VALUE_LENGTH or _VARIABLE.search(value) or _URL.search(value) or _CODE.match(value):
        return "", 0.0
    if _is_public(name):
        return "", 0.0
    if _PASSWORD.search(name) or _WEAK.search(name):
        if listed and _NAMELIKE.match(value):
            return "", 0.0
        return _password(value, quoted)
    return ("", 0.0) if listed and _NAMELIKE.match(value) else _key(name, value)


def _is_public(name: str) -> bool:
    """Whether a name says that its value is about a secret, and not one."""
    if _KEY_ID.search(name):
        return False
    return _PUBLIC.search(name) is not None or not _PUBLIC_PARTS.isdisjoint(
        part.lower() for part in _PARTS.findall(name)
    )


def _password(value: str, quoted: bool) -> tuple[str, float]:
    """Passwords are short and may be words; they are no placeholder."""
    value = value.rstrip(".")
    if len(value) < PASSWORD_LENGTH or PLACEHOLDER.search(value) or len(set(value.casefold())) < 4:
        return "", 0.0
    plain = value.isalpha()
    if not any(map(str.isdigit, value)) and _KEYLIKE.search(value):
        return "", 0.0
    if plain and not quoted:
        return ("PASSWORD", 0.5) if len(value) >= 8 else ("", 0.0)
    return "PASSWORD", 0.6 if plain else 0.8


def _key(name: str, value: str) -> tuple[str, float]:
    """Keys are long, and of no words."""
    if PLACEHOLDER.search(value) or stepping(value) or published(value):
        return "", 0.0
    bits = entropy(value)
    digits = sum(map(str.isdigit, value))
    if _UUID.match(value):
        return ("API_KEY", 0.6) if _KEYLIKE.search(name) and bits > 2.5 else ("", 0.0)
    if len(value) < KEY_LENGTH or (digits == 0 and _WORDLIKE.match(value)):
        return "", 0.0
    if value.isdigit() or bits < (3.0 if _HEX.match(value) else 3.3):
        return "", 0.0
    if _WORDLIKE.match(value) and bits < 4.0:
        return "", 0.0
    if digits < 2 and value.count("-") + value.count("_") + value.count(".") > 1:
        return "", 0.0
    return "API_KEY", 0.7

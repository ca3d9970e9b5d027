"""What is done with the content of messages: guardrails as values, read from documents and asked by the sidecar.

A guardrail is an ordered list of processors. Each names a detector, what happens to what that finds, on which
way, in which parts of a message, how long it may take, and what happens when it fails. This is the shape that the
Kubernetes AI Gateway working group sketches for payload processing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum


class Action(IntEnum):
    """What happens to what a detector finds; of several for one message the greatest counts."""

    OFF = 0
    """The detector is not asked."""
    FLAG = 1
    """It is written down, and passes."""
    MASK = 2
    """Something else stands in its place; what cannot be masked is blocked."""
    BLOCK = 3
    """The message does not pass."""


class Direction(StrEnum):
    """Which way a message goes, seen from who began the exchange."""

    REQUEST = "request"
    RESPONSE = "response"
    BOTH = "both"


class FailureMode(StrEnum):
    """What happens to a message when a detector raises, is late or cannot be asked."""

    OPEN = "open"
    CLOSED = "closed"


class DetectorKind(StrEnum):
    """What looks at content."""

    PII = "pii"
    SECRETS = "secrets"
    SQL = "sql"
    INJECTION = "injection"
    EXFILTRATION = "exfiltration"
    TERMS = "terms"
    SHAPE = "shape"
    EXTERNAL = "external"


class Part(StrEnum):
    """What a text is within its message."""

    ARGUMENTS = "arguments"
    """What a tool or prompt is called with, and what users answer to a server's questions."""
    RESULTS = "results"
    """What tools, prompts and resources give: content, structured content, messages, task results."""
    DESCRIPTIONS = "descriptions"
    """What a server says of what it offers: names, titles, descriptions, schemas, instructions."""
    MESSAGES = "messages"
    """Text for people and models beside results: errors, progress, log messages, elicitations, sampling."""
    PROTOCOL = "protocol"
    """Everything else: identifiers, cursors, metadata."""


ALL_PARTS = frozenset(Part)


@dataclass(frozen=True, slots=True)
class PiiOptions:
    """`kinds`: exactly these, whatever their locale; empty: all of the locales. `locales`: like `us`, `gb`; empty:
    all. What belongs to no locale is always looked for."""

    kinds: frozenset[str] = frozenset()
    locales: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SecretsOptions:
    """`entropy`: also what only looks like a secret, beside a word like password."""

    entropy: bool = True


@dataclass(frozen=True, slots=True)
class SqlOptions:
    """`statements`: kinds of whole statements that are allowed, like `select`, by glob of the tool's name; a tool
    that no glob matches gets those of `*`, or none."""

    statements: tuple[tuple[str, frozenset[str]], ...] = ()


@dataclass(frozen=True, slots=True)
class InjectionOptions:
    """`threshold`: the score from which the model's word counts, 0 to 1; None: its own."""

    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class ExfiltrationOptions:
    """`hosts`: where links may lead with anything in them, exact or `*.suffix`."""

    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TermsOptions:
    """`words` are looked for without regard to case or spelling tricks, whole words where `whole` is set."""

    words: tuple[str, ...] = ()
    whole: bool = True


@dataclass(frozen=True, slots=True)
class ShapeOptions:
    """Limits of one message; 0: none. `characters` of one string, `items` of one array or object, all of them in
    `values`, `depth` of nesting, `bytes` of the whole as JSON."""

    bytes: int = 0
    depth: int = 0
    items: int = 0
    values: int = 0
    characters: int = 0


@dataclass(frozen=True, slots=True)
class ExternalOptions:
    """A detector that is asked over HTTP.

    `kind` is the wire format: fms-contents, fms-chat, fms-generation, fms-context, llama-guard, shieldgemma,
    granite-guardian, moderations, webhook, nemo. `url` is where it is asked, `model` what it calls its model,
    `threshold` the score from which it counts, `parameters` what is sent along as JSON (a JSON text).
    """

    kind: str
    url: str
    model: str = ""
    threshold: float = 0.5
    criteria: tuple[str, ...] = ()
    """Categories, criteria or policies that are asked about, in the words of the detector; empty: its own."""
    parameters: str = "{}"
    concurrency: int = 8
    cache_seconds: int = 300


Options = (
    PiiOptions
    | SecretsOptions
    | SqlOptions
    | InjectionOptions
    | ExfiltrationOptions
    | TermsOptions
    | ShapeOptions
    | ExternalOptions
)

NO_OPTIONS: dict[DetectorKind, Options] = {
    DetectorKind.PII: PiiOptions(),
    DetectorKind.SECRETS: SecretsOptions(),
    DetectorKind.SQL: SqlOptions(),
    DetectorKind.INJECTION: InjectionOptions(),
    DetectorKind.EXFILTRATION: ExfiltrationOptions(),
    DetectorKind.TERMS: TermsOptions(),
    DetectorKind.SHAPE: ShapeOptions(),
}
"""What a detector is asked with where nothing is said; an external one has to be described."""


@dataclass(frozen=True, slots=True)
class Processor:
    """One step: a detector, and what happens with what it finds. `timeout` in seconds; `observe`: only recorded.

    `tools` are globs over names of tools; a message that belongs to no tool is looked at whatever they are.
    """

    name: str
    detector: DetectorKind
    action: Action
    options: Options
    direction: Direction = Direction.BOTH
    parts: frozenset[Part] = ALL_PARTS
    tools: tuple[str, ...] = ("*",)
    timeout: float = 0.25
    failure: FailureMode = FailureMode.CLOSED
    observe: bool = False


@dataclass(frozen=True, slots=True)
class Guardrails:
    """Everything that looks at the messages between one agent and one target, in order.

    `reversible`: what was masked on the way out is put back in on the way home, and the other way round. `budget`:
    seconds for the messages of one body and all local detectors. Hashable: engines are kept by it.
    """

    processors: tuple[Processor, ...] = ()
    reversible: bool = False
    budget: float = 0.25

    def __bool__(self) -> bool:
        return bool(self.processors)

    def observed(self) -> Guardrails:
        """The same where nothing is changed or blocked, but everything recorded."""
        return replace(self, processors=tuple(replace(one, observe=True) for one in self.processors))


DEFAULT_ACTIONS: dict[DetectorKind, Action] = {
    DetectorKind.SECRETS: Action.FLAG,
    DetectorKind.PII: Action.FLAG,
    DetectorKind.SQL: Action.FLAG,
    DetectorKind.INJECTION: Action.FLAG,
    DetectorKind.EXFILTRATION: Action.FLAG,
}
"""What holds where no document says anything: everything is looked for, and nothing is changed."""


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `requests` in each `seconds`, and up to `burst` at once."""

    requests: int
    seconds: float
    burst: int = 0


class RateScope(StrEnum):
    """What shares one bucket, besides agent and Backend."""

    AGENT = "agent"
    """Everything from this workload."""
    USER = "user"
    """What is asked on behalf of one user."""


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Of one rule. `tools`: (glob of a tool, its rate); each matching one counts besides `every`.

    `concurrent` requests at a time, `result_bytes` of one answer; 0: no limit. `shared`: counted together with
    other sidecars in the store that the sidecar is configured with; `failure` says what happens while that does
    not answer: open counts locally.
    """

    label: str = ""
    every: Rate | None = None
    tools: tuple[tuple[str, Rate], ...] = ()
    scope: RateScope = RateScope.AGENT
    concurrent: int = 0
    result_bytes: int = 0
    shared: bool = False
    failure: FailureMode = FailureMode.OPEN
    observe: bool = False
    """Counted, and what is beyond it written down, but nothing is refused."""


class PinMode(StrEnum):
    """How what a server offers is held to what it offered."""

    OFF = "Off"
    FIRST_USE = "FirstUse"
    APPROVED = "Approved"


@dataclass(frozen=True, slots=True)
class Pin:
    """`digest` of the approved set (`sha256:<hex>`), `tools`: (name, digest) of single ones; for Approved.

    `generation`: what was pinned at first use is forgotten where this is another number.
    """

    mode: PinMode = PinMode.OFF
    digest: str = ""
    tools: tuple[tuple[str, str], ...] = ()
    observe: bool = field(default=False)
    generation: int = 1

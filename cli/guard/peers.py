"""What other programs do on the same data: constants, measured once, each with where it comes from.

Measured in November 2026 with the default settings of each on the whole files, of which a folder may hold a part.
Some of these programs have other aims than the figure says; `*` marks data that was made of a program's own tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cli.guard.measures import F2, FALSE, RECALL


@dataclass(frozen=True, slots=True)
class Peer:
    """A program. `source`: version or commit that was measured."""

    name: str
    source: str


PRESIDIO: Final = Peer("Presidio", "presidio-analyzer 2.2.366, patterns without NLP, score > 0")
REGEXES: Final = Peer("7 regexes", "seven expressions, Luhn and mod 97")
PHONES: Final = Peer("+phonenumbers", "the same and phonenumbers 9.0.43 for six regions")
TRUSTYAI: Final = Peer("TrustyAI", "guardrails-detectors 747a4d3, built-in expressions")
CPEX_PII: Final = Peer("cpex-pii", "cpex-pii-filter 0.3.9")
GITLEAKS: Final = Peer("gitleaks", "gitleaks.toml of b58d3f1 on RE2 with entropy")
NOSEYPARKER: Final = Peer("noseyparker", "171 rules for secrets of 2e6e7f3")
DETECT_SECRETS: Final = Peer("detect-secrets", "detect-secrets 1.5.0, typed plugins")
CPEX_SECRETS: Final = Peer("cpex-secrets", "cpex-secrets-detection 0.3.14, default")
LIBINJECTION: Final = Peer("libinjection", "libinjection 85e252a")
CISCO: Final = Peer("Cisco", "cisco-ai-defense/mcp-scanner 893327c, YARA rules")
NEMO: Final = Peer("NeMo", "NeMo Guardrails 0.24.1, sqli.yara")
AGT: Final = Peer("AGT", "microsoft/agent-governance-toolkit b570558, with its normalize()")
LLAMA: Final = Peer("LlamaFirewall", "LlamaFirewall 1.0.3, default expressions")
TINY: Final = Peer("3-gram model", "logistic regression over hashed 1-3-grams, each source left out in turn")
CPEX_EXFIL: Final = Peer("cpex-exfil", "cpex-encoded-exfil-detection 0.3.10")

PEERS: Final = (
    *(PRESIDIO, REGEXES, PHONES, TRUSTYAI, CPEX_PII, GITLEAKS, NOSEYPARKER, DETECT_SECRETS, CPEX_SECRETS),
    *(LIBINJECTION, CISCO, NEMO, AGT, LLAMA, TINY, CPEX_EXFIL),
)

Figure = tuple[Peer, float, str]
"""Who, what, and a mark."""

_GITHUB: Final = "benign_json_github"

FIGURES: Final[dict[tuple[str, str, str], tuple[Figure, ...]]] = {
    ("pii", "pii_presidio", F2): (
        (PRESIDIO, 0.814, ""),
        (PHONES, 0.870, ""),
        (REGEXES, 0.767, ""),
        (CPEX_PII, 0.672, ""),
        (TRUSTYAI, 0.614, ""),
    ),
    ("pii", "pii_mcp_json", RECALL): (
        (PRESIDIO, 0.944, ""),
        (PHONES, 0.923, ""),
        (REGEXES, 0.792, ""),
        (CPEX_PII, 0.558, ""),
        (TRUSTYAI, 0.526, ""),
    ),
    ("pii", "pii_mcp_json", FALSE): (
        (PRESIDIO, 0.169, ""),
        (PHONES, 0.169, ""),
        (REGEXES, 0.0, ""),
        (CPEX_PII, 1.0, ""),
        (TRUSTYAI, 1.0, ""),
    ),
    ("secrets", "noseyparker", RECALL): (
        (NOSEYPARKER, 0.928, "*"),
        (GITLEAKS, 0.489, ""),
        (DETECT_SECRETS, 0.181, ""),
        (CPEX_SECRETS, 0.072, ""),
    ),
    ("secrets", "noseyparker", FALSE): (
        (NOSEYPARKER, 0.238, "*"),
        (GITLEAKS, 0.246, ""),
        (DETECT_SECRETS, 0.063, ""),
        (CPEX_SECRETS, 0.071, ""),
    ),
    ("secrets", "gitleaks", RECALL): (
        (GITLEAKS, 0.968, "*"),
        (DETECT_SECRETS, 0.387, ""),
        (NOSEYPARKER, 0.226, ""),
        (CPEX_SECRETS, 0.0, ""),
    ),
    ("secrets", "gitleaks", FALSE): (
        (GITLEAKS, 0.311, "*"),
        (NOSEYPARKER, 0.133, ""),
        (CPEX_SECRETS, 0.121, ""),
        (DETECT_SECRETS, 0.085, ""),
    ),
    ("secrets", _GITHUB, FALSE): (
        (GITLEAKS, 0.008, ""),
        (DETECT_SECRETS, 0.004, ""),
        (CPEX_SECRETS, 0.004, ""),
        (NOSEYPARKER, 0.0, ""),
    ),
    ("sql", "sqli_payloads", RECALL): (
        (LIBINJECTION, 0.523, ""),
        (CISCO, 0.489, ""),
        (NEMO, 0.138, ""),
    ),
    ("sql", "libinjection", RECALL): (
        (LIBINJECTION, 0.996, "*"),
        (CISCO, 0.586, ""),
        (NEMO, 0.211, ""),
    ),
    ("sql", "sqli_crs level 1", RECALL): ((LIBINJECTION, 0.220, ""),),
    ("sql", "benign_sql, allowed", FALSE): (
        (LIBINJECTION, 0.320, ""),
        (CISCO, 0.052, ""),
        (NEMO, 0.007, ""),
    ),
    ("sql", "prose", FALSE): ((LIBINJECTION, 0.001, ""), (CISCO, 0.0, ""), (NEMO, 0.050, "")),
    ("injection", "pi_obfuscated", RECALL): (
        (AGT, 0.274, ""),
        (CISCO, 0.021, ""),
        (LLAMA, 0.0, ""),
    ),
    ("injection", "pi_agentdojo", RECALL): (
        (TINY, 0.576, ""),
        (AGT, 0.213, ""),
        (CISCO, 0.0, ""),
        (LLAMA, 0.0, ""),
    ),
    ("injection", "tool_desc", RECALL): (
        (CISCO, 0.941, "*"),
        (AGT, 0.353, ""),
        (TINY, 0.265, ""),
        (LLAMA, 0.029, ""),
    ),
    ("injection", "tool_desc_synth", RECALL): ((CISCO, 0.455, ""), (AGT, 0.405, ""), (TINY, 0.315, "")),
    ("injection", "pi_cyberseceval", RECALL): (
        (TINY, 0.114, ""),
        (AGT, 0.078, ""),
        (LLAMA, 0.037, ""),
        (CISCO, 0.016, ""),
    ),
    ("injection", "pi_sysprompt", RECALL): ((TINY, 0.500, ""),),
    ("injection", "pi_piguard_valid", RECALL): (
        (TINY, 0.750, ""),
        (AGT, 0.271, ""),
        (CISCO, 0.146, ""),
        (LLAMA, 0.0, ""),
    ),
    ("injection", "pi_bipia", RECALL): ((AGT, 0.250, ""), (CISCO, 0.105, ""), (LLAMA, 0.0, "")),
    ("injection", "pi_bipia", FALSE): ((AGT, 0.258, ""),),
    ("injection", "benign_wildguard", FALSE): ((AGT, 0.008, ""), (CISCO, 0.009, ""), (LLAMA, 0.0, "")),
    ("injection", "benign_frr", FALSE): ((CISCO, 0.189, ""), (AGT, 0.0, ""), (LLAMA, 0.0, "")),
    ("injection", "benign_notinject", FALSE): ((AGT, 0.024, ""), (CISCO, 0.0, ""), (LLAMA, 0.0, "")),
    ("injection", _GITHUB, FALSE): ((CISCO, 0.012, ""), (AGT, 0.0, ""), (LLAMA, 0.0, "")),
    ("exfiltration", "exfil_synth", RECALL): ((CPEX_EXFIL, 1.0, ""),),
    ("exfiltration", "exfil_synth", FALSE): ((CPEX_EXFIL, 0.39, ""),),
    ("exfiltration", _GITHUB, FALSE): ((CPEX_EXFIL, 0.988, ""),),
}
"""By detector, source and figure."""


def said(detector: str, source: str, figure: str) -> str:
    """The peers' figures as text, the best first; empty where there are none."""
    figures = sorted(
        FIGURES.get((detector, source, figure), ()), key=lambda one: one[1], reverse=figure != FALSE
    )
    return ", ".join(f"{peer.name} {value:.3f}{mark}" for peer, value, mark in figures)

"""Numbers of people and firms in Brazil, Chile and Argentina."""

from __future__ import annotations

from typing import Final

from sidecar.guardrails.pii.checksums import spread, weighted
from sidecar.guardrails.pii.rule import Number

_CNPJ: Final = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)


def _closing(total: int) -> str:
    rest = total % 11
    return "0" if rest < 2 else str(11 - rest)


def cpf(digits: str) -> bool:
    """Two check digits, modulo 11."""
    first = _closing(weighted(digits[:9], range(10, 1, -1)))
    second = _closing(weighted(digits[:10], range(11, 1, -1)))
    return spread(digits) and digits[9:] == first + second


def cnpj(digits: str) -> bool:
    """Two check digits, modulo 11."""
    first = _closing(weighted(digits[:12], _CNPJ[1:]))
    second = _closing(weighted(digits[:13], _CNPJ))
    return spread(digits) and digits[12:] == first + second


def rut(text: str) -> bool:
    """Modulo 11, where ten is K."""
    total = weighted(text[-2::-1], (2, 3, 4, 5, 6, 7, 2, 3))
    return spread(text[:-1]) and text[-1] == "0123456789K0"[11 - total % 11]


def cuit(digits: str) -> bool:
    """Modulo 11; the first two say what holds it."""
    total = weighted(digits[:10], (5, 4, 3, 2, 7, 6, 5, 4, 3, 2))
    return int(digits[-1]) == -total % 11


NUMBERS: Final = (
    Number(
        "BR_CPF",
        "br",
        "Cadastro de pessoas físicas; bare only beside its name.",
        r"\bcpf",
        r"\d{3}\.?\d{3}\.?\d{3}-?\d{2}",
        cpf,
        r"\d{3}\.\d{3}\.\d{3}-\d{2}",
    ),
    Number(
        "BR_CNPJ",
        "br",
        "Cadastro nacional da pessoa jurídica; bare only beside its name.",
        r"\bcnpj",
        r"\d{2}\.?\d{3}\.?\d{3}/?\d{4}-?\d{2}",
        cnpj,
        r"\d{2}\.\d{3}\.\d{3}/\d{4}-\d{2}",
    ),
    Number(
        "CL_RUT",
        "cl",
        "Rol único tributario.",
        r"\brut\b|rol .nico",
        r"\d{7,8}-?[\dKk]",
        rut,
        r"\d{1,2}\.\d{3}\.\d{3}-[\dKk]",
    ),
    Number(
        "AR_CUIT",
        "ar",
        "Clave única de identificación tributaria or laboral, beside its name.",
        r"\bcui[tl]\b",
        r"(?:2[03-7]|3[034])-?\d{8}-?\d",
        cuit,
    ),
)

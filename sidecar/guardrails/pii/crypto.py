"""Addresses of wallets: who knows one can read what its owner pays."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from sidecar.guardrails.hit import Hit
from sidecar.guardrails.pii.context import named, words
from sidecar.guardrails.pii.rule import CERTAIN, LIKELY, Kind, Rule

KINDS: Final = {
    "CRYPTO": Kind("Wallet: Bitcoin, Litecoin and Tron by checksum; Ethereum in mixed case or beside a word.")
}

_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32M: Final = 0x2BC830A3
_VALUES58: Final = {character: value for value, character in enumerate(_BASE58)}
_WORDS: Final = words(
    r"wallet|\beth|ether|address|account|erc-?20|owner|holder|payee|recipient|sender|\bto\b|\bfrom\b"
)


def base58check(text: str) -> bool:
    """25 bytes, of which the last four are of a double SHA-256 over the others. At most 34 characters."""
    number = 0
    for character in text:
        number = number * 58 + _VALUES58[character]
    data = number.to_bytes(25)
    return sha256(sha256(data[:-4]).digest()).digest()[:4] == data[-4:]


def bech32(text: str) -> bool:
    """BIP 173 and BIP 350, in lower case."""
    prefix, _, data = text.rpartition("1")
    values = (
        [ord(character) >> 5 for character in prefix] + [0] + [ord(character) & 31 for character in prefix]
    )
    check = 1
    for value in values + [_BECH32.index(character) for character in data]:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            if top >> bit & 1:
                check ^= generator
    return check in (1, _BECH32M)


def _read_base58(text: str, start: int, end: int) -> Iterable[Hit]:
    if base58check(text[start:end]):
        yield Hit("CRYPTO", start, end, CERTAIN, "base58check")


def _read_bech32(text: str, start: int, end: int) -> Iterable[Hit]:
    if bech32(text[start:end].lower()):
        yield Hit("CRYPTO", start, end, CERTAIN, "bech32")


def _read_ethereum(text: str, start: int, end: int) -> Iterable[Hit]:
    digits = text[start + 2 : end]
    if digits.strip("0") and (digits not in (digits.lower(), digits.upper()) or named(text, start, _WORDS)):
        yield Hit("CRYPTO", start, end, LIKELY, "Ethereum")


RULES: Final = (
    Rule("CRYPTO", r"\b[13T][1-9A-HJ-NP-Za-km-z]{25,33}\b", _read_base58),
    Rule("CRYPTO", r"\b(?:(?:bc|tb|ltc)1[02-9ac-hj-np-z]{11,71}|BC1[02-9AC-HJ-NP-Z]{11,71})\b", _read_bech32),
    Rule("CRYPTO", r"\b0x[0-9a-fA-F]{40}\b", _read_ethereum),
)

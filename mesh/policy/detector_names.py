"""What detectors find, by name: of personal data, and of statements.

Plain data, so that a document is checked where it is written. The detectors' own tables have the rules; a test
keeps both alike.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from mesh.policy.errors import shown
from mesh.policy.fields import suggestion

_KINDS: Final = (
    "EMAIL PHONE CARD IBAN IP MAC CRYPTO PASSPORT DATE_OF_BIRTH IMEI BANK_ACCOUNT "
    "US_SSN US_ITIN US_DRIVER_LICENSE US_NPI US_MBI CA_SIN MX_CURP "
    "BR_CPF BR_CNPJ CL_RUT AR_CUIT "
    "UK_NHS UK_NINO UK_DRIVING_LICENCE DE_TAX_ID FR_INSEE ES_DNI ES_NIE IT_FISCAL_CODE NL_BSN PL_PESEL "
    "BE_NATIONAL_ID PT_NIF SE_PERSONNUMMER FI_HETU NO_FODSELSNUMMER DK_CPR IE_PPS CH_AHV RO_CNP "
    "CZ_BIRTH_NUMBER HR_OIB EE_ISIKUKOOD TR_TCKN "
    "IN_AADHAAR IN_PAN AU_TFN AU_MEDICARE NZ_IRD SG_NRIC CN_RESIDENT_ID KR_RRN JP_MY_NUMBER "
    "TW_NATIONAL_ID TH_NATIONAL_ID ZA_ID IL_ID"
)
KINDS: Final = tuple(_KINDS.split())
"""Kinds of personal data."""

_LOCALES: Final = (
    "ar at au be br ca ch cl cn cz de dk ee es fi fr gb gr hr hu id ie il in it jp kr mx nl no nz pl pt ro se "
    "sg th tr tw us za"
)
LOCALES: Final = tuple(_LOCALES.split())
"""Countries whose numbers or telephone numbers are known."""

_STATEMENTS: Final = (
    "select insert update delete merge replace drop truncate alter create rename grant revoke exec call copy load "
    "backup restore shutdown kill attach pragma show use set declare begin commit rollback explain dbcc prepare "
    "waitfor do handler "
    "stacked dangerous destructive"
)
STATEMENTS: Final = tuple(_STATEMENTS.split())
"""Statements by their first word, and three things that a statement may be besides."""

_KNOWN_AS: Final = {"uk": "gb", "el": "gr", "EMAIL_ADDRESS": "EMAIL", "SSN": "US_SSN", "CREDIT_CARD": "CARD"}
"""Names that others have for some of them."""
_SHOWN: Final = 5


def stranger(value: str, what: str, known: Collection[str]) -> str | None:
    """That no detector knows `value`, with what may have been meant; None for one of `known`."""
    if value in known:
        return None
    other = _KNOWN_AS.get(value)
    meant = f", did you mean {other}?" if other in known else suggestion(value, known)
    few = list(known)[:_SHOWN]
    return f"{shown(value)} is no {what}{meant}; there are {', '.join(few)} and {len(known) - len(few)} more"

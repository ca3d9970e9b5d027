"""Numbers of people in Europe."""

from __future__ import annotations

from typing import Final

from sidecar.guardrails.pii import europe_checks as check
from sidecar.guardrails.pii.checksums import ean_13, mod_11_10
from sidecar.guardrails.pii.dates import ddmmyy
from sidecar.guardrails.pii.rule import Number

_NINO: Final = "[ABCEGHJ-PRSTW-Z][ABCEGHJ-NPRSTW-Z]"
_ELEVEN: Final = r"\d{11}"

NUMBERS: Final = (
    Number(
        "UK_NHS",
        "gb",
        "NHS number, beside its name.",
        r"\bnhs\b",
        r"\d{3}[- ]?\d{3}[- ]?\d{4}",
        check.nhs,
    ),
    Number(
        "UK_NINO",
        "gb",
        "National insurance number.",
        r"national.?insurance|\bnino\b|\bni.?(?:no|number)\b",
        rf"{_NINO} ?\d\d ?\d\d ?\d\d ?[A-Da-d]",
        check.nino,
        rf"{_NINO}(?:\d{{6}}| \d\d \d\d \d\d )[A-D]",
    ),
    Number(
        "UK_DRIVING_LICENCE",
        "gb",
        "Driver number on a driving licence.",
        "",
        "",
        lambda _: True,
        r"[A-Z]{2,5}9{0,3}\d[0156]\d[0-3]\d\d[A-Z9]{2}\d[A-Z]{2}",
    ),
    Number(
        "DE_TAX_ID",
        "de",
        "Steuerliche Identifikationsnummer, beside its name.",
        r"steuer|\bid-?nr|\btin\b|tax.?id",
        r"[1-9]\d ?\d{3} ?\d{3} ?\d{3}",
        check.steuer_id,
    ),
    Number(
        "FR_INSEE",
        "fr",
        "Numéro de sécurité sociale (NIR).",
        "",
        "",
        check.insee,
        r"[12] ?\d\d ?\d\d ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d",
    ),
    Number("ES_DNI", "es", "Documento nacional de identidad.", "", "", check.dni, r"\d{8}-?[A-HJ-NP-TV-Z]"),
    Number(
        "ES_NIE",
        "es",
        "Número de identidad de extranjero.",
        "",
        "",
        check.nie,
        r"[XYZ]-?\d{7}-?[A-HJ-NP-TV-Z]",
    ),
    Number(
        "IT_FISCAL_CODE",
        "it",
        "Codice fiscale.",
        "",
        "",
        check.codice_fiscale,
        r"[A-Z]{6}[0-9LMNP-V]{2}[ABCDEHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]",
    ),
    Number(
        "NL_BSN",
        "nl",
        "Burgerservicenummer, beside its name.",
        r"\bbsn\b|burgerservice|sofi.?nummer",
        r"\d{4}\.?\d{2}\.?\d{3}",
        check.bsn,
    ),
    Number("PL_PESEL", "pl", "PESEL, beside its name.", r"\bpesel\b", _ELEVEN, check.pesel),
    Number(
        "BE_NATIONAL_ID",
        "be",
        "Rijksregisternummer; bare only beside its name.",
        r"rijksregister|registre national|national register|\binsz\b|\bniss\b",
        r"\d{2}\.?\d{2}\.?\d{2}-?\d{3}\.?\d{2}",
        check.rijksregister,
        r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}",
    ),
    Number(
        "PT_NIF",
        "pt",
        "Número de identificação fiscal, beside its name.",
        r"\bnif\b|contribuinte",
        r"[1-9]\d{2} ?\d{3} ?\d{3}",
        check.nif_pt,
    ),
    Number(
        "SE_PERSONNUMMER",
        "se",
        "Personnummer; without its sign only beside its name.",
        r"person.?n(?:umme)?r|samordningsnummer",
        r"(?:19|20)?\d{6}[-+ ]?\d{4}",
        check.personnummer,
        r"(?:19|20)?\d{6}[-+]\d{4}",
    ),
    Number(
        "FI_HETU",
        "fi",
        "Henkilötunnus.",
        "",
        "",
        check.hetu,
        r"[0-3]\d[01]\d{3}[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]",
    ),
    Number(
        "NO_FODSELSNUMMER",
        "no",
        "Fødselsnummer, beside its name.",
        r"f.{1,2}dselsn|\bfnr\b|personnummer",
        r"\d{6} ?\d{5}",
        check.fodselsnummer,
    ),
    Number("DK_CPR", "dk", "CPR number, beside its name.", r"\bcpr\b|personnummer", r"\d{6}-?\d{4}", ddmmyy),
    Number(
        "IE_PPS",
        "ie",
        "Personal public service number, beside its name.",
        r"\bppsn?\b|personal public service",
        r"\d{7}[A-W][A-IW]?",
        check.pps,
    ),
    Number("CH_AHV", "ch", "AHV or AVS number.", "", "", ean_13, r"756\.?\d{4}\.?\d{4}\.?\d{2}"),
    Number(
        "RO_CNP",
        "ro",
        "Cod numeric personal, beside its name.",
        r"\bcnp\b|cod numeric",
        r"[1-8]\d{12}",
        check.cnp,
    ),
    Number(
        "CZ_BIRTH_NUMBER",
        "cz",
        "Rodné číslo.",
        r"rodn|\br\.?č",
        r"\d{6}/?\d{4}",
        check.rodne_cislo,
        r"\d{6}/\d{4}",
    ),
    Number("HR_OIB", "hr", "Osobni identifikacijski broj, beside its name.", r"\boib\b", _ELEVEN, mod_11_10),
    Number(
        "EE_ISIKUKOOD",
        "ee",
        "Isikukood, beside its name.",
        r"isikukood|personal (?:id )?code",
        r"[1-8]\d{10}",
        check.isikukood,
    ),
    Number(
        "TR_TCKN",
        "tr",
        "T.C. kimlik numarası, beside its name.",
        r"kimlik|\btckn\b|\btc.?no\b",
        r"[1-9]\d{10}",
        check.tckn,
    ),
)

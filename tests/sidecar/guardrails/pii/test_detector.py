from __future__ import annotations

import subprocess
import sys
import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.policy.guardrails import PiiOptions
from sidecar.guardrails.hit import SEPARATOR, Detector
from sidecar.guardrails.pii import KINDS, LOCALES, PiiDetector
from sidecar.guardrails.pii.detector import UNHURRIED

EVERYTHING = PiiDetector(PiiOptions())


def found(text: str, detector: PiiDetector = EVERYTHING) -> list[tuple[str, str]]:
    return [(hit.kind, text[hit.start : hit.end]) for hit in detector.scan(text)]


SEEN = [
    ("EMAIL", "mail ", "john.doe+tag@example.co.uk", "."),
    ("EMAIL", "é ", "jürgen@müller.de", ""),
    ("EMAIL", "at ", "joe (at) example (dot) com", " or"),
    ("PHONE", "", "+44 20 7183 8750", ""),
    ("PHONE", "Tel.: ", "+49 (0) 30 1234567", ""),
    ("PHONE", "", "+1 650 253 0000", " 2026-01-01"),
    ("PHONE", "call ", "(212) 555-0199 x12", ", please"),
    ("PHONE", "", "1-800-555-0199", ""),
    ("PHONE", "", "001-518-640-0854", ""),
    ("PHONE", "reached at ", "078 8098 1119", ""),
    ("PHONE", "", "(0114)4960155", ""),
    ("PHONE", "phone\x1f", "5551234567", "\x1fid\x1f1000015838"),
    ("PHONE", "home_tel\x1f", "1234567", ""),
    ("PHONE", "phone1\x1f", "5551234567", ""),
    ("PHONE", '{"phone": "', "5551234567", '"}'),
    ("PHONE", '{"id": 1, "mobile": "', "5551234567", '"}'),
    ("PHONE", "Phone:\n", "(71) 4233-6306", ""),
    ("PHONE", "contact ", "0383998261", " about it"),
    ("PHONE", "line\n", "416 60 039", " office"),
    ("PHONE", "line\n", "(37) 788-063", "-Office"),
    ("PHONE", "call me on ", "450 0840", "?"),
    ("CARD", "card:", "4111111111111111", ""),
    ("CARD", "", "4111 1111 1111 1111", ""),
    ("CARD", "", "5500-0055-5555-5559", ""),
    ("CARD", "", "3782 822463 10005", ""),
    ("CARD", "card\x1f", "630427373398", ""),
    ("IBAN", "", "GB82 WEST 1234 5698 7654 32", " is"),
    ("IBAN", "", "DE89370400440532013000", ""),
    ("IBAN", "", "gb82west12345698765432", ""),
    ("IP", "from ", "86.121.97.248", ":443"),
    ("IP", "", "2a00:1450:4001:81b::200e", "/64"),
    ("IP", "", "9b57:8b81:c521:6abd:fba0:dd3f:bc67:1f7f", ""),
    ("MAC", "", "1a:1b:52:1d:86:fc", ""),
    ("MAC", "", "1A-1B-52-1D-86-FC", ""),
    ("CRYPTO", "", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", ""),
    ("CRYPTO", "", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", ""),
    ("CRYPTO", "wallet ", "0x52908400098527886e0f7030069857d2e4169ee7", ""),
    ("CRYPTO", "", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", ""),
    ("PASSPORT", "passport no. ", "AB1234567", ""),
    ("DATE_OF_BIRTH", "birth_date\x1f", "1990-05-01", ""),
    ("DATE_OF_BIRTH", "born ", "May 1, 1990", ""),
    ("DATE_OF_BIRTH", "born ", "1.5.1990", ""),
    ("IMEI", "IMEI: ", "490154203237518", ""),
    ("BANK_ACCOUNT", "account_number\x1f", "12345678", ""),
    ("US_SSN", "", "514-69-0360", ""),
    ("US_SSN", "user_ssn\x1f", "514690360", ""),
    ("US_ITIN", "", "987-65-4321", ""),
    ("US_DRIVER_LICENSE", "driver's license ", "D1234567", ""),
    ("US_NPI", "NPI ", "1234567893", ""),
    ("US_MBI", "", "1EG4-TE5-MK73", ""),
    ("CA_SIN", "SIN: ", "130-692-544", ""),
    ("MX_CURP", "", "HEGG560427MVZRRL04", ""),
    ("BR_CPF", "", "111.444.777-35", ""),
    ("BR_CPF", "cpf\x1f", "11144477735", ""),
    ("BR_CNPJ", "", "11.222.333/0001-81", ""),
    ("CL_RUT", "", "12.531.909-2", ""),
    ("AR_CUIT", "CUIT ", "20-05536168-2", ""),
    ("UK_NHS", "nhsNumber\x1f", "943 476 5919", ""),
    ("UK_NINO", "", "AB123456C", ""),
    ("UK_NINO", "NI number ", "AB 12 34 56 C", ""),
    ("UK_DRIVING_LICENCE", "", "MORGA657054SM9IJ", ""),
    ("DE_TAX_ID", "Steuer-ID ", "36 574 261 809", ""),
    ("FR_INSEE", "", "2 95 10 99 126 111 93", ""),
    ("ES_DNI", "", "54362315K", ""),
    ("ES_NIE", "", "X2482300W", ""),
    ("IT_FISCAL_CODE", "", "RCCMNL83S18D969H", ""),
    ("NL_BSN", "BSN ", "111222333", ""),
    ("PL_PESEL", "PESEL: ", "44051401359", ""),
    ("BE_NATIONAL_ID", "", "85.07.30-033.28", ""),
    ("PT_NIF", "NIF ", "501 964 843", ""),
    ("SE_PERSONNUMMER", "", "880320-0016", ""),
    ("FI_HETU", "", "131052-308T", ""),
    ("NO_FODSELSNUMMER", "fødselsnummer ", "151086 95088", ""),
    ("DK_CPR", "CPR ", "211062-5629", ""),
    ("IE_PPS", "PPS ", "6433435F", ""),
    ("CH_AHV", "", "756.9217.0769.85", ""),
    ("RO_CNP", "CNP ", "1630615123457", ""),
    ("CZ_BIRTH_NUMBER", "", "710319/2745", ""),
    ("HR_OIB", "OIB ", "33392005961", ""),
    ("EE_ISIKUKOOD", "isikukood ", "36805280109", ""),
    ("TR_TCKN", "T.C. Kimlik ", "17291716060", ""),
    ("IN_AADHAAR", "", "2341 2341 2346", ""),
    ("IN_PAN", "", "ABCPE1234F", ""),
    ("AU_TFN", "TFN ", "123 456 782", ""),
    ("AU_MEDICARE", "medicare card ", "2123 45670 1", ""),
    ("NZ_IRD", "IRD ", "49-091-850", ""),
    ("SG_NRIC", "", "S1234567D", ""),
    ("CN_RESIDENT_ID", "", "11010519491231002X", ""),
    ("KR_RRN", "", "971013-1019902", ""),
    ("JP_MY_NUMBER", "マイナンバー ", "1234 5678 9018", ""),
    ("TW_NATIONAL_ID", "national id ", "A123456789", ""),
    ("TH_NATIONAL_ID", "", "1-2345-45678-78-1", ""),
    ("ZA_ID", "ID number ", "8001015009087", ""),
    ("IL_ID", "Israeli ID ", "393374236", ""),
]

UNSEEN = [
    "order_ref\x1f8898405198196484",
    "id\x1f1000015838\x1fcreated\x1f2026-01-12T08:44:18.381Z",
    "da4b9237bacccdf19c0760cab7aec4a8359010b0",
    "7f1371a9-f4ce-445f-a466-07a4ec3c9e45 550e8400-e29b-41d4-a716-446655440000",
    "10.13.9.643 1.2.3.4.5 v1.2.3.4",
    '"version": "10.13.9.64"',
    "127.0.0.1 0.0.0.0 255.255.255.0 224.0.0.1 192.0.2.7 ::1 2001:db8::1 ff02::1",
    "00:00:00:00:00:00 12-34-56-78-90-12",
    "16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48",
    "2026-01-12 08:44:18 std::cd 05-15 15:20:15 2019",
    "phone_number_id\x1f106540352242922",
    '{"phone": null, "id": 1000015838}',
    '"phone": "", "created": 1700000000',
    "phone 192.168",
    "call 2026-01-12",
    "+0100 1+1234567890 +12 @@ -1,10 +1000,2000 @@",
    "cancelled 20190515152015",
    "git@github.com:a/b.git https://user@host.example.com/x icon@2x.png @scope/pkg@2.0.0",
    "000-12-3456 666-12-3456 123-00-4567",
    "GB82WEST12345698765431 XX82WEST12345698765432",
    "4111111111111112 0000000000000000 0.4111111111111111",
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
    "0x52908400098527886e0f7030069857d2e4169ee7",
    "0x0000000000000000000000000000000000000000 wallet",
    "passport 1984 was born in 1977",
    "nhs 9434765918",
    "a@b aa@aa@aa .@x.y",
    "call 12345678",
    "medicare card 2123 45680 1",
    "T1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfN",
    "zzzz..@example.com ...@example.com",
    "+9990000000000 +2100000000000",
    "ab:12345:1:2:3:4:5:6:7:8 2001::1:2:3:4:5:6:7:8",
    "4012888888881881.5 5012345678901",
    "Tzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
    "2001:1:2:3:4:5::1:2:3:4:5:6",
    "card 5012345678901 cnh phone 12 call 12345678x",
    "+1 (650 2530000 then",
    "contact 4 of 5 people",
]


@pytest.mark.parametrize(("kind", "before", "value", "after"), SEEN)
def test_what_is_personal_is_found_where_it_stands(kind: str, before: str, value: str, after: str) -> None:
    assert (kind, value) in found(before + value + after)


@pytest.mark.parametrize("text", UNSEEN)
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert found(text) == []


def test_each_kind_has_an_example_and_a_line() -> None:
    assert {kind for kind, *_ in SEEN} == KINDS.keys()
    assert all(doc.endswith(".") for doc in KINDS.values())
    assert LOCALES.keys() < KINDS.keys()


def test_each_number_of_a_named_list_is_found() -> None:
    numbers = [f"55512345{index:02}" for index in range(40)]
    for sheet in (SEPARATOR.join(["phones", *numbers, "id", "5551234567"]), "phones: " + ", ".join(numbers)):
        assert found(sheet) == [("PHONE", number) for number in numbers]


def test_a_word_reaches_only_the_value_of_its_key() -> None:
    assert found("phone\x1fnone\x1fsize\x1f1234567890") == []
    assert found("ssn\x1f\x1faccount\x1f514690360") == []


def test_numbers_in_a_row_are_all_found() -> None:
    assert [kind for kind, _ in found("4111111111111111,5500005555555559 GB82WEST12345698765432")] == [
        "CARD",
        "CARD",
        "IBAN",
    ]


def test_no_hit_overlaps_another_or_holds_a_separator() -> None:
    hits = EVERYTHING.scan(SEPARATOR.join(before + value + after for _, before, value, after in SEEN))
    assert all(one.end <= other.start for one, other in pairwise(hits))


def test_positions_are_code_points() -> None:
    assert found("日本語 🎉 Ä john@example.com") == [("EMAIL", "john@example.com")]


def test_locales_choose_what_belongs_to_them_and_to_none() -> None:
    british = PiiDetector(PiiOptions(locales=("gb",)))
    text = "514-69-0360 AB123456C john@example.com"
    assert [kind for kind, _ in found(text, british)] == ["UK_NINO", "EMAIL"]
    assert found("078 8098 1119", british) == [("PHONE", "078 8098 1119")]
    assert found("078 8098 1119", PiiDetector(PiiOptions(locales=("us",)))) == []


def test_kinds_choose_whatever_the_locale() -> None:
    chosen = PiiDetector(PiiOptions(kinds=frozenset(("US_SSN",)), locales=("gb",)))
    assert found("514-69-0360 john@example.com 4111111111111111", chosen) == [("US_SSN", "514-69-0360")]


def test_kinds_without_words_ask_for_none() -> None:
    chosen = PiiDetector(PiiOptions(kinds=frozenset(("EMAIL",))))
    assert found("phone 5551234567 john@example.com", chosen) == [("EMAIL", "john@example.com")]


@pytest.mark.parametrize(
    ("options", "named"),
    [(PiiOptions(kinds=frozenset(("NAME",))), "NAME"), (PiiOptions(locales=("xx",)), "xx")],
)
def test_unknown_kinds_and_locales_are_refused_with_those_that_there_are(
    options: PiiOptions, named: str
) -> None:
    with pytest.raises(ValueError, match=f"{named}; there are"):
        PiiDetector(options)


def test_it_is_a_detector() -> None:
    detector: Detector = EVERYTHING
    assert detector.name == "pii"


def test_numbering_plans_are_imported_when_a_number_needs_them() -> None:
    code = (
        "import sys\n"
        "from mesh.policy.guardrails import PiiOptions\n"
        "from sidecar.guardrails.pii import PiiDetector\n"
        "detector = PiiDetector(PiiOptions())\n"
        "detector.scan('id 1000015838 john@example.com 4111111111111111')\n"
        "assert 'phonenumbers' not in sys.modules\n"
        "assert detector.scan('+44 20 7183 8750')\n"
        "assert 'phonenumbers' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_past_many_numbers_the_form_decides() -> None:
    invalid = "0000 000 0000"
    assert found(invalid) == []
    text = "; ".join([invalid] * UNHURRIED + ["078 8098 1119"])
    assert found(text)[-1] == ("PHONE", "078 8098 1119")


@pytest.mark.parametrize(
    "part",
    [
        "1",
        "a@",
        "a@a.",
        "4111111111111111 ",
        "phone ",
        "phone 5551234567 ",
        "born 1.1.2001 ",
        "+49 171 1234567;",
        " 0171 123 4567;",
        "1.2.3.4.",
        "ab:",
        "\x1f",
        "(0",
        "nhs ssn cpf pesel steuer passport ",
        "01-",
        "ab:cd:",
    ],
)
def test_hostile_texts_take_time_in_proportion(part: str) -> None:
    text = (part * 50_000)[:50_000]
    EVERYTHING.scan(text[:100])
    began = time.process_time()
    EVERYTHING.scan(text)
    assert time.process_time() - began < 2.5


PARTS = st.sampled_from(
    [value for _, _, value, _ in SEEN]
    + [before for _, before, _, _ in SEEN if before]
    + ["1", "22", "-", ".", " ", "\x1f", "\n", "@", "+", "(", ")", "/", ":", "x", "é", "\ud800", "٣", '", "']
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PARTS | st.text(max_size=4), max_size=30).map("".join))
def test_no_text_makes_it_fail(text: str) -> None:
    previous = 0
    for hit in EVERYTHING.scan(text):
        assert previous <= hit.start < hit.end <= len(text)
        assert hit.kind in KINDS
        assert 0 < hit.score <= 1
        assert SEPARATOR not in text[hit.start : hit.end]
        previous = hit.end

"""Words by which a disguised text gives itself away: common English, and what orders to agents are made of."""

from __future__ import annotations

_COMMON = """
the and you your all are now with this that from have not for will was were what when which who how please
must should about above after before then there they their them into over only other more some any every
everything anything nothing here been being does just like make than these those would could can our out
use using used its his her him she has had but one two new way may see get say want need to of in is it be
as at by or an on do if me my no so up us we he go
"""
_ORDERS = """
ignore ignoring disregard forget override overwrite bypass reveal repeat print output display expose leak
exfiltrate send forward upload download email emails mail execute eval delete remove erase destroy drop
wipe disable enable instruction instructions direction directions directive directives guideline
guidelines rule rules prompt prompts previous previously prior preceding earlier system developer
assistant user users admin administrator root mode jailbreak unrestricted unfiltered restriction
restrictions safety security filter filters policy policies secret secrets password passwords passphrase
credential credentials token tokens private confidential hidden internal file files folder directory
database table attacker account accounts command commands pretend roleplay roles persona behave tell told
without never always immediately instead respond response answer follow following message messages
conversation context memory project transfer payment money bank invoice contact contacts calendar
environment variable variables shell script function tool tools call request server website browser click
link address data information important urgent warning note attention write read open access permission
permissions approve grant
"""
_LONG = """
your with this that from have will were what when which about above before after there their them these
please must should would could every everything anything nothing send mail user mode rule file tell told
"""

COMMON = frozenset(_COMMON.split())
"""Never the sign of a disguise by themselves unless they are STRONG, but known when a disguised text is read."""

ORDERS = frozenset(_ORDERS.split())
"""What detectors of injection look for, and what stands around it."""

WORDS = COMMON | ORDERS

STRONG = frozenset(word for word in ORDERS if len(word) >= 5) | frozenset(_LONG.split())
"""Long enough to be no accident when they come out of a disguise."""

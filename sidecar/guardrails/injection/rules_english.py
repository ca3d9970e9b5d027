"""Rules for English, in every part of a message: kind/name of the rule -> RE2 pattern, without case.

Each names what is asked of the model rather than a wording that was seen somewhere; the gaps are in words.
"""

from __future__ import annotations

from typing import Final

from sidecar.guardrails.injection.grammar import (
    EARLIER,
    INSTRUCTIONS,
    NOT,
    RULES,
    SET_ASIDE,
    TELL,
    THEN,
    G,
    gap,
)

_OVERRIDE: Final = {
    "earlier-instructions": rf"\b{SET_ASIDE}{THEN}{gap(4)}{EARLIER}{gap(3)}{INSTRUCTIONS}\b",
    "instructions-above": (
        rf"\b{SET_ASIDE}{THEN}{gap(4)}{INSTRUCTIONS}{gap(3)}(?:above|before|prior|previously|earlier"
        rf"|you)\b"
    ),
    "all-instructions": (
        rf"\b(?:ignore|disregard|forget|override){G}(?:all|any|every|these|those){THEN}"
        rf"{gap(2)}(?:instructions?|directives?|guidelines?|programming)\b"
    ),
    "your-rules": (
        rf"\b(?:{SET_ASIDE}|bypass){THEN}{gap(3)}(?:your|previous|prior|preceding|above|earlier"
        rf"|foregoing){gap(3)}{RULES}\b"
    ),
    "those-rules": (
        rf"\b(?:ignore|disregard|forget){THEN}{G}(?:about{G})?(?:all{G})?(?:of{G})?(?:those"
        rf"|these){gap(1)}{RULES}\b"
    ),
    "everything-said": (
        rf"\b(?:ignore|disregard|forget|overlook)\w*{G}(?:about{G})?(?:every ?th?ing|all|anything"
        rf"|whatever|what)"
        rf"{gap(2)}(?:you(?:['’]ve|['’]d|{G}have|{G}had|{G}were|{G}was)?{gap(2)}(?:told|instructed"
        rf"|taught|given|asked|know)"
        rf"|(?:has|was|were|been|is|i){gap(2)}(?:said|told|written|stated|instructed)|above|so far"
        rf"|before this|up to (?:now|this))\b"
    ),
    "the-above": (
        rf"\b(?:ignore|disregard|forget){THEN}{G}(?:all{G})?(?:of{G})?(?:the{G})?(?:above|preceding"
        rf"|foregoing){G}(?:and|instead|then|but)\b"
    ),
    "override-call": (
        r"\b(?:system(?:[ _-]prompt)?|admin(?:istrator)?|security|developer|root|safety|instruction"
        r"|priority)[ _-]override"
        r"(?:[ \t]*[:!\]>)]|[ _-]mode\b)"
    ),
    "new-instructions": (
        r"(?:^|[\n\x1f.!?:>\]*#-])[ \t]*(?:(?:here are |these are |your |my |the )?(?:new|updated"
        r"|revised|real|actual|true) (?:system )?(?:instructions?|task|objective|directives?|orders"
        r"|prompt|goal|mission)[ \t]*(?::|(?:is|are) to\b|(?:is|are) as follows))"
    ),
    "your-new-task": (
        rf"\byour{G}(?:new|real|actual|true|only){THEN}{G}(?:task|objective|goal|mission|instructions?"
        rf"|purpose|role){G}(?:is|are|now)\b"
    ),
    "adhere-to-following": (
        rf"\b(?:strictly|only|exclusively|immediately){G}(?:adhere to|follow|obey|comply with|execute)"
        rf"{G}(?:the following|these|my|this){THEN}{gap(1)}(?:instructions?|commands?|orders?"
        rf"|directives?)\b"
    ),
    "instead-of-task": (
        rf"\binstead of{THEN}{gap(2)}(?:your|the user['’]?s?|the original|the given|the assigned)"
        rf"{gap(1)}(?:task|instructions?|request|question|goal)\b"
    ),
    "not-your-instructions": (
        rf"\b{NOT}{G}(?:follow|obey|use){THEN}{gap(2)}(?:previous|prior|earlier|above|original|old"
        rf"|initial|system){gap(2)}{INSTRUCTIONS}\b"
    ),
    "not-what-the-user": (
        rf"\b{NOT}{G}(?:do|answer|follow){G}what{THEN}{G}the{G}user{G}(?:asked|asks|wants|wanted"
        rf"|said|requested)\b"
    ),
    "task-cancelled": (
        rf"\b(?:previous|original|current|earlier){G}(?:\w+{G})?(?:task|instructions?|request"
        rf"|orders?){THEN}{gap(1)}"
        rf"(?:has been|have been|is|are|was|were){G}(?:now{G})?(?:cancell?ed|void|revoked|superseded"
        rf"|no longer valid"
        rf"|obsolete|overridden)\b"
    ),
    "from-now-on": (
        rf"\b(?:from now on|henceforth|from this (?:point|moment)(?: on(?:wards?)?)?){G}(?:you|your)"
        rf"{G}(?:will|must|shall|are|can|answer|act|only|respond|have)\b"
    ),
    "bypass-safety": (
        rf"\b(?:bypass|disable|turn off|remove|deactivate|circumvent|lift|drop|switch off){gap(1)}(?:all"
        rf"|any|your|every|its own){THEN}{gap(1)}(?:safety|content|ethical|moral|built-?in){G}(?:\w+"
        rf"{G})?(?:filters?|restrictions?|guidelines?|guardrails?|measures|protocols?|checks|safeguards"
        rf"|polic(?:y|ies)|mechanisms|limits|constraints)\b"
    ),
}

_PERSONA: Final = {
    "now-in-mode": (
        rf"\b(?:you are|you['’]re|i am|i['’]m){G}(?:now{G})?(?:in|entering|operating in|running in"
        rf"|switched to|initiating){THEN}{G}(?:an?{G})?(?:\w+{G})?(?:dev|developer|maintenance"
        rf"|debug|diagnostic|admin|administrator|root|sudo|god|jailbreak|override|unrestricted|unfiltered"
        rf"|security|system|verification|testing|recovery|emergency){G}(?:mode|reset)\b"
    ),
    "now-an-assistant": (
        rf"\byou are now{THEN}{G}(?:an?|my|the|going to (?:be|act|pretend)){gap(5)}(?:bot"
        rf"|application|persona"
        rf"|hacker|terminal|shell|interpreter)\b"
    ),
    "now-unbound": (
        rf"\byou(?:['’]re|{G}are){G}(?:now{G})?(?:no longer|un|free(?:d)? (?:from|of)){THEN}"
        rf"{gap(2)}(?:bound|restricted|limited|constrained|governed|censored|restrictions?|rules|an ai"
        rf"|a language model|polic(?:y|ies))\b"
    ),
    "no-restrictions": (
        rf"\b(?:pretend|imagine|act as (?:if|though)|behave as (?:if|though)|suppose|assume"
        rf"|role-?play){THEN}{gap(2)}(?:you|yourself|an? (?:\w+ )?(?:ai|assistant|chat ?bot|model)){gap(3)}"
        rf"(?:no|without|free of|unrestricted|not bound|don['’]?t have)"
        rf"{gap(3)}(?:restrictions?|rules|limits?|limitations?|filters?|guidelines|ethics|ethical|morals"
        rf"|moral|polic(?:y|ies)|censorship|safeguards)\b"
    ),
    "without-ethics": (
        rf"\bwithout{THEN}{G}(?:any{G}|the{G}|your{G})?(?:safety|content|openai|usual)"
        rf"{G}(?:\w+{G})?(?:restrictions?|constraints?|guidelines|filters?|limits?|limitations?"
        rf"|considerations?|polic(?:y|ies)|warnings?)\b"
    ),
    "do-anything-now": (
        r"\b(?:do anything now|(?-i:DAN) (?:mode|prompt|application|bot)|(?:as|am|are|act like|named"
        r"|called) (?-i:DAN)\b|(?:jailbreak|god|unfiltered|unrestricted|uncensored|evil"
        r"|opposite)[ _-]mode)"
    ),
    "mode-enabled": (
        r"\b(?:developer|debug|maintenance|admin|root|sudo|override|diagnostic"
        r"|system)[ _-]mode[ \t]*(?:['’\"”]?[ \t]*)?(?:is now )?(?:enabled|activated|unlocked|engaged"
        r"|initiated|granted)\b"
    ),
    "entering-override": (
        r"\b(?:now )?(?:entering|initiating|activating)[^\w\x1f]+(?:an? |the )?(?:\w+ ){0,2}?(?:override"
        r"|jailbreak|unrestricted|god)(?: mode)?\b"
    ),
    "unfiltered": (
        rf"\b(?:unfiltered|uncensored|unrestricted|amoral|jailbroken){G}(?:\w+{G})?(?:ai|assistant"
        rf"|chat ?bot|language model|llm|gpt\w*|persona)\b"
    ),
    "no-filtering": (
        rf"\b(?:has|have|with){G}no{G}(?:special |content |ethical |moral |safety ){{1,2}}(?:filter(?:s"
        rf"|ing)?|guidelines|restrictions?|rules)\b"
    ),
    "stay-in-character": (
        rf"\b(?:stay|remain){G}in character{THEN}{gap(6)}(?:{NOT}|no matter|never|rules)\b"
    ),
    "maker-claim": (
        rf"\b(?:as|i am|i['’]m|this is){G}(?:an ai|your)?{G}?(?:developed by|(?:your )(?:developer"
        rf"|creator|programmer|maker)s?){G}(?:openai|anthropic|google|meta|i|and|from|at|speaking)\b"
    ),
    "mode-tag": r"<[ \t]*(?:system|admin|developer|root|debug|god)[ _-]?mode[ \t]*>",
}

_PROMPT = (
    rf"(?:system|initial|hidden|secret|original|developer|starting|internal|base|pre){G}?(?:system"
    rf"{G})?(?:prompts?|instructions?)"
)

_EXTRACTION: Final = {
    "system-prompt": rf"\b{TELL}{THEN}{gap(5)}(?:your|the|its|this|every|all){gap(3)}{_PROMPT}\b",
    "system-message": (
        rf"\b(?:reveal|print|output|repeat|disclose|leak|recite|dump|encode|show|display){THEN}"
        rf"{gap(3)}(?:your|its){gap(2)}(?:system (?:message|configuration|settings)|instructions?|prompt"
        rf"|guidelines|rules|configuration|directives?|programming)\b"
    ),
    "system-configuration": (
        rf"\b(?:reveal|disclose|leak|dump|expose){THEN}{gap(2)}(?:confidential|secret|hidden|internal"
        rf"|system){gap(1)}(?:configuration|data|settings|information|instructions?|details)\b"
    ),
    "what-instructions": (
        rf"\b(?:what|which){G}(?:is|are|was|were){THEN}{G}(?:in{G})?(?:your|those|the)(?:{G}(?:very"
        rf"|first|full|exact|complete|entire))*{G}(?:system|initial|original|hidden|secret|starting"
        rf"|previous|first)?{G}?(?:prompts?|instructions|system message|directives|secret key)\b"
    ),
    "repeat-above": (
        rf"\b(?:repeat|output|print|show|copy|recite|reproduce|write out|echo|quote|give me|return"
        rf"|translate|encode){THEN}{gap(2)}(?:everything|all|the (?:\w+ )?(?:words|text|contents?|lines?"
        rf"|paragraphs?|messages?|sentences?)){gap(5)}(?:above|before this|so far|verbatim"
        rf"|preceding this)\b"
    ),
    "given-initially": (
        rf"\b(?:text|words|message|prompt|instructions?){G}(?:that{G})?you{G}(?:were|have been|received"
        rf"|got){gap(2)}(?:given|told|provided|sent)?{G}?(?:initially|at (?:the )?(?:start|beginning)"
        rf"|first|before)\b"
    ),
    "start-with-instructions": (
        rf"\b(?:start|begin|continue|complete|finish){THEN}{gap(5)}(?:my|the|your){G}(?:system |initial "
        rf"|original |full )?(?:instructions|prompt|system message){G}(?:are|is|say|says|was|were"
        rf"|begins?)\b"
    ),
    "you-were-told": (
        rf"\b(?:reveal|print|output|repeat|show|list|recite|tell me){THEN}{gap(3)}(?:what|everything"
        rf"|all){G}(?:that{G})?you{G}(?:were|have been){G}(?:told|instructed|given|asked)\b"
    ),
    "instructions-you-received": (
        rf"\b{TELL}{THEN}{gap(4)}(?:instructions?|rules|orders|directives){G}(?:that{G})?you{G}"
        rf"(?:received|were given|have been given|got|were told|follow|operate under)\b"
    ),
    "what-were-you-told": (
        rf"\bwhat{G}(?:were|have){G}you{G}(?:been{G})?(?:told|instructed|programmed|given){THEN}"
        rf"{gap(3)}(?:before|to do|not to|initially|at the|by|above|earlier|so far)\b"
    ),
    "hidden-instructions": (
        rf"\b(?:print|reveal|output|show|display|list|expose|repeat){THEN}{G}(?:me{G})?(?:the|any|all"
        rf"|your)?{gap(1)}(?:hidden|secret|concealed){G}(?:instructions?|prompts?|rules|messages?"
        rf"|passwords?)\b"
    ),
    "secret-of-yours": (
        rf"\b(?:what(?:['’]s|{G}is|{G}was|{G}would)|tell me|give me|share|reveal|confirm|provide|print"
        rf"|output|disclose|send me){THEN}{gap(4)}(?:your|our system['’]?s?|the system['’]?s?"
        rf"|your system['’]?s?|my system['’]?s?|for our|for the|the secret){G}(?:\w+"
        rf"{G}){{0,1}}?(?:passwords?|passphrase|secret key|api[ _-]?keys?|credentials|private key|system"
        rf"|access code){G}?(?:\?|\.|!|$|with me|for|to me|be|is|in|\x1f|stored)"
    ),
    "key-in-environment": (
        rf"\b{TELL}{THEN}{gap(3)}(?:api[ _-]?keys?|secrets?|credentials?|passwords?|tokens?)"
        rf"{gap(2)}(?:stored|kept|saved|hidden){G}in{gap(2)}(?:environment|memory|config\w*|system"
        rf"|database|context)\b"
    ),
}

ENGLISH: Final[dict[str, str]] = {
    f"{kind}/{name}": pattern
    for kind, rules in {"OVERRIDE": _OVERRIDE, "PERSONA": _PERSONA, "EXTRACTION": _EXTRACTION}.items()
    for name, pattern in rules.items()
}

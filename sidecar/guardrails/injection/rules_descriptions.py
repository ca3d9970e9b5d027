"""Rules that hold only in what a server says of its tools: harmless elsewhere, poison in a description.

A description says what a tool does. It has no reason to speak of other tools' recipients, of the user's keys, of
what the user should not learn, or to send copies to an address of its own.
"""

from __future__ import annotations

from typing import Final

from sidecar.guardrails.injection.grammar import AWAY, NOT, PRIVATE_FILES, SEND, SENSITIVE, THEN, USER, G, gap

_RULES: Final = {
    "POISON_CONCEALMENT": {
        "silently": (
            rf"\b(?:silently|secretly|covertly|stealthily|surreptitiously|discreetly"
            rf"|quietly){THEN}{G}(?:\w+{G})?(?:(?:send|forward|read|collect"
            rf"|post|upload|transfer|append|transmit|log|invite|e-?mail|bcc|exfiltrate|concatenate"
            rf"|include)s?|copy|copies|call|run|execute|get|make"
            rf"|create|change|delete|visit|add|update|schedule|reserve|say that|tell)\b"
        ),
        "in-the-background": (
            rf"\b(?:in the background|behind the scenes|internally|under the hood|invisibly){THEN}"
            rf"{G}(?:you|the assistant|it){G}(?:must|should|also|will|have to|need to){G}\w+"
        ),
        "no-mention": (
            rf"\b{NOT}{THEN}{G}(?:mention|disclose|reveal|tell|inform|notify|alert|warn)"
            rf"{gap(6)}(?:{USER}|this (?:step|tag|instruction|action)|that you|confidential)\b"
        ),
        "no-confirmation": (
            rf"\b(?:{NOT}|without){G}(?:ask(?:ing)?|wait(?:ing)?|seek(?:ing)?"
            rf"|request(?:ing)?){THEN}{gap(3)}(?:confirmation|permission|approval|consent)\b"
        ),
        "as-if-normal": (
            rf"\b(?:present|show|return|format|make){THEN}{gap(3)}(?:as if|as though|look like|appear as"
            rf"|appear to be){gap(6)}(?:normal|part of|usual|regular|legitimate)\b"
        ),
        "cover-story": (
            rf"\bif{THEN}{gap(4)}asks?{gap(5)}(?:(?:say|claim|pretend|tell them|lie){G}(?:that|it"
            rf"|this|nothing|no|you)|(?:answer|reply|respond){G}that)\b"
        ),
    },
    "POISON_COLLECTION": {
        "collect-secrets": (
            rf"\b(?:collect|gather|harvest|steal|capture|log|record|append|attach|exfiltrate|dump"
            rf"|scan for|search for){THEN}{gap(6)}{SENSITIVE}\b{gap(9)}(?:and|in|into|to|as|for|is|are)\b"
        ),
        "extracted-secrets": (
            rf"\b(?:extract|obtain|read|retrieve|access)(?:s|ing|ed)?{THEN}{gap(7)}(?:passwords?"
            rf"|credit cards?|credentials?|(?:authorization|bearer|auth)[^\x1f]{{0,60}}?tokens?"
            rf"|private keys?|ssh keys?|environment variables?|api keys?|confidential){gap(12)}(?:send"
            rf"|sends|sent|include|pass|logged|forward|upload|post|transmit|attach|append"
            rf"|store[ds]?)\w*\b"
        ),
        "include-secrets": (
            rf"\b(?:include|pass|put|provide|add|insert|embed|supply|attach|append|write|copy"
            rf"|requires?){THEN}{gap(5)}(?:(?:full|whole|entire|complete|all) (?:\w+ ){{0,2}}?(?:chat"
            rf"|conversation|message|context|history|prompt)s?|(?:chat|conversation) history"
            rf"|conversation so far|system prompt|(?:previous|prior) (?:messages|conversation)|(?:its"
            rf"|their|the file['’]?s?) contents?){gap(6)}(?:in|as|into|to|with|inside){G}(?:the{G}"
            rf"|this{G}|your{G}|an?{G})?[`'\"]?\w+[`'\"]?{gap(1)}(?:parameter|argument|field|param"
            rf"|header|input|note|metadata|response|so that|before|otherwise|`)"
        ),
        "as-argument": (
            rf"\b(?:pass|include|put|send|add|provide|supply){THEN}{G}(?:its|their|the|that|all)"
            rf"{G}(?:\w+{G}){{0,2}}?(?:contents?|conversation"
            rf"|history|credentials?|keys?){gap(3)}(?:as|in|into|through|via){gap(2)}[`'\"]\w+[`'\"]"
        ),
    },
    "POISON_SECRET_FILE": {
        "secret-place": (
            rf"\b(?:reads?|opens?|cat|access(?:es)?|loads?|fetch(?:es)?|gets?|retrieves?|includes?"
            rf"|extracts?"
            rf"|prints?|checks?|contents? of|from|file){THEN}{gap(4)}[@`'\"(]*{PRIVATE_FILES}"
        ),
        "many-secret-files": (
            r"\*\.(?:env|pem|key|p12|pfx|kdbx)\b[^\n\x1f]{0,80}?\*\.?(?:env|pem|key|p12|pfx|kdbx"
            r"|credentials|secret)"
        ),
        "read-first": (
            rf"\b(?:before|prior to|when|whenever|after|each time){THEN}{G}(?:using|calling|invoking"
            rf"|running|executing|you use|you call|this tool is){gap(6)}(?:first{G})?(?:read|open|access"
            rf"|cat|load){gap(4)}(?:confidential|secret|private|credentials?|password|key|config\w*|~"
            rf"|\.env)"
        ),
    },
    "POISON_DESTINATION": {
        "data-away": (
            rf"\b{SEND}{THEN}{gap(3)}(?:all|every|each|any|harvested|extracted|collected|captured|copies"
            rf"|copy|user['’]?s?|{SENSITIVE}){gap(14)}to{G}(?:{AWAY})"
        ),
        "secrets-to": (
            rf"\b(?:{SENSITIVE}|bearer|harvested|_KEY=[^\s\x1f]+){gap(14)}(?:{SEND}|sent){gap(3)}to"
            rf"{G}(?:{AWAY}|\w+{G}(?:server|host|endpoint){G}controlled)"
        ),
        "send-to-attacker": (
            rf"\b(?:{SEND}|sent|redirected){THEN}{gap(8)}(?:to|by){G}(?:an?{G}|the{G})?(?:\w+"
            rf"{G}){{0,2}}?(?:attackers?|adversary|hackers?|malicious)\b"
        ),
        "always-copy": (
            rf"\b(?:always|automatically|also|every time|whenever){THEN}{gap(4)}(?:bcc|cc|forward|copy"
            rf"|upload|exfiltrate|mirror)(?:s|es|ing)?\b{gap(14)}(?:to{G}{AWAY}|[\w.+-]+@[\w-]+\.)"
        ),
        "bcc-to": rf"\bbcc{THEN}{gap(5)}(?:to{G})?[\w.+-]+@[\w-]+\.",
        "shell": (
            r"\b(?:curl|wget|nc|bash|sh|powershell|Invoke-WebRequest)\b[^\n\x1f]{0,100}?(?:-d[ \t]*@"
            r"|--data(?:-binary)?[ \t]+@|-T[ \t]|\|[ \t]*(?:ba|z)?sh\b|/dev/tcp/|-F[ \t]+[^\s\x1f]*@)"
        ),
    },
    "POISON_OTHER_TOOLS": {
        "recipient": (
            rf"\b(?:overrid|replac|redirect|substitut|rewrit)\w+{THEN}{gap(3)}(?:recipients?|payee"
            rf"|beneficiary|iban|destination address"
            rf"|addressee){gap(10)}(?:to|with|and|of){G}"
        ),
        "when-present": (
            rf"\bwhen(?:ever)?{THEN}{G}(?:(?:both|this tool|other tools|another tool){gap(2)}(?:is"
            rf"|are|gets?){G}(?:both{G}"
            rf"|also{G})?(?:present|installed|loaded|available|connected){G}[a-z]+|the"
            rf"{G}[`'\"]?\w+[`'\"]?{G}"
            rf"(?:tool|function|server){gap(2)}(?:is|are|gets?){G}(?:both{G}|also{G})?(?:present"
            rf"|installed|loaded"
            rf"|available|connected){gap(6)}(?:will|must|bcc|send|forward|override|read|copy"
            rf"|redirect|include))\b"
        ),
        "side-effect": (
            rf"\b(?:has|have|with){G}(?:an?{G})?(?:\w+{G}){{0,2}}?side[ -]effects?{THEN}{G}on{G}(?:the"
            rf"{G})?[`'\"]?\w+"
        ),
        "prefer-this": (
            rf"\b(?:always|only|must|should){THEN}{G}(?:use|prefer|call|choose|invoke|select|pick)"
            rf"{G}this{G}(?:one|tool|function){gap(3)}(?:instead of|over|even (?:when|if)|regardless"
            rf"|rather than){gap(3)}(?:any|all|every|other|others|similar|the user|asks|competing)\b"
        ),
        "other-descriptions": (
            rf"\b(?:ignore|disregard|forget|skip|supersedes?|overrides?){THEN}{gap(3)}(?:descriptions?"
            rf"|instructions?|rules|definitions?|documentation){G}(?:of|from|in|for){gap(2)}(?:other"
            rf"|another|previous|all){gap(1)}(?:tools?|functions?|servers?)\b"
        ),
        "other-tool-forbidden": (
            rf"\b(?:{NOT}){THEN}{G}(?:use|call|invoke|trust){G}(?:any{G}|the{G}|of{G})*other{G}(?:\w+"
            rf"{G})?(?:tools?|functions?|servers?)\b"
        ),
        "else-fails": (
            rf"\botherwise{THEN}{G}(?:the|this){G}(?:tool|function|server|assistant){G}(?:will|would"
            rf"|may){G}(?:not work|fail|break"
            rf"|refuse|crash|be (?:blocked|rejected|locked))\b"
        ),
    },
    "POISON_ORDER": {
        "markup": (
            r"<[ \t]*/?(?:important|hidden|secret|system|admin|assistant)(?:[ _-](?:message"
            r"|instructions?|prompt|note|override))?[ \t]*>"
        ),
        "comment": r"<!--",
        "to-the-model": (
            rf"\b(?:note|instructions?|message|reminder){G}(?:for|to){THEN}{G}(?:the{G})?(?:ai|assistant"
            rf"|llm|model|agent|language model)s?\b"
        ),
        "label": (
            r"(?:^|[\n\x1f])[ \t]*[\[(<*]*(?:hidden|secret|internal|system)[ _-](?:instructions?"
            r"|directives?|notes?|orders?|prompts?)\b"
        ),
        "compliance-excuse": (
            rf"\bfor{THEN}{G}(?:compliance|auditing|audit|security|safety|verification|quality|logging"
            rf"|regulatory|backup|debugging|proxying){gap(2)}(?:also|always|you must|please|include|send"
            rf"|forward|copy|collect|bcc|pass)\b"
        ),
        "must-include-in-answer": (
            rf"\byou{G}must{THEN}{G}(?:first{G}|always{G}|also{G})?(?:include|insert|append|return"
            rf"|output|say|read|access){G}(?:the{G}|this{G})*(?:following"
            rf"|confidential|secret|private|exact){gap(8)}(?:in|as part of){G}your{G}(?:response"
            rf"|answer|reply|output)\b"
        ),
        "prior-to-returning": (
            rf"\b(?:prior to|before){THEN}{G}(?:returning|responding|answering|replying)"
            rf"{gap(2)}(?:send|post|upload|forward|transmit"
            rf"|exfiltrate|(?:call|fetch|request|visit){gap(1)}http\w*)\b"
        ),
        "internally-must": (
            rf"\b(?:internally|secretly|covertly){G}you{THEN}{G}(?:must|have to|need to|are required to)\b"
        ),
    },
}

DESCRIPTIONS: Final[dict[str, str]] = {
    f"{kind}/{name}": pattern for kind, rules in _RULES.items() for name, pattern in rules.items()
}

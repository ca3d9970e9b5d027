"""Rules for English, continued: what is asked of the model once its rules are set aside."""

from __future__ import annotations

from typing import Final

from sidecar.guardrails.injection.grammar import (
    AWAY,
    KEY_FILES,
    MODEL,
    NOT,
    SEND,
    SENSITIVE,
    THEN,
    USER,
    G,
    gap,
)

_CONCEALMENT: Final = {
    "not-tell-user": (
        rf"\b(?:{NOT}|without){THEN}{G}(?:ever{G}|also{G}|even{G})?(?:tell(?:ing)?|mention(?:ing)?"
        rf"|inform(?:ing)?|notify(?:ing)?|alert(?:ing)?|warn(?:ing)?|reveal(?:ing)?|disclos(?:e|ing)"
        rf"|show(?:ing)?|report(?:ing)?|say(?:ing)?|speak(?:ing)?|expos(?:e|ing)){gap(5)}(?:the{G}|to{G}"
        rf"|your{G}|any{G}|other{G}){{1,2}}(?:end[ -]?)?{USER}\b"
    ),
    "not-mention-this": (
        rf"\b{NOT}{THEN}{G}(?:ever{G})?(?:mention|disclose|reveal|acknowledge|talk about|speak of)"
        rf"{G}(?:that you|(?:this|these|the) (?:instructions?|step|action|message|note|request|tool call"
        rf"|directive|rule)|(?:anything|any of this|this|it) (?:in|to|about))\b"
    ),
    "user-unaware": (
        rf"\b(?:without|outside){THEN}{gap(2)}(?:user|customer|owner|human)(?:['’]?s)?{G}(?:\w+"
        rf"{G})?(?:knowing|knowledge|noticing|consent|awareness|approval|permission|seeing|realizing"
        rf"|being (?:aware|told|informed|asked))\b"
    ),
    "hide-from-user": (
        rf"\b(?:hid(?:e|ing|den)|conceal(?:ed|ing)?|keep(?:ing)?|kept|withh[eo]ld){THEN}{gap(5)}(?:from"
        rf"|secret to|secret from){G}(?:the{G}|your{G}|any{G})(?:end[ -]?)?{USER}\b"
    ),
    "user-must-not-know": (
        rf"\b(?:the|your){G}(?:end[ -]?)?(?:user|customer|human|owner){G}(?:must|should|need|may"
        rf"|can){THEN}{G}?(?:not|never|n['’]?t)(?:{G}(?:be|ever|to))*{G}(?:know|notice|see|find out"
        rf"|aware|told|informed|learn|hear)\b"
    ),
    "if-asked": (
        rf"\bif{G}(?:the user|anyone|anybody|someone|they|asked|the customer|you are asked"
        rf"|questioned){THEN}{gap(6)}(?:say|claim|pretend|lie|deny|reply that|answer that|respond that"
        rf"|tell them){G}(?:that|it|you|this|nothing|no)\b"
    ),
    "without-asking": (
        rf"\b(?:{NOT}|without){G}(?:ask(?:ing)?|wait(?:ing)?|seek(?:ing)?|request(?:ing)?"
        rf"|prompt(?:ing)?){THEN}{G}(?:me|(?:the{G})?user|them)?{G}?(?:for{G})?(?:any{G}|user{G}|their"
        rf"{G}|the{G}|explicit{G}|further{G})*(?:confirmation|permission|approval|consent){gap(3)}(?:and"
        rf"|just|before|send|proceed|simply)\b"
    ),
}

_FAKE_TURN: Final = {
    "template-token": (
        r"<\|[ \t]*/?(?:im_start|im_end|im_sep|system|user|assistant|endoftext|endofprompt"
        r"|start_header_id|end_header_id|eot_id|eom_id|begin_of_text|end_of_text|tool_call|channel"
        r"|message|start|end)[ \t]*\|>"
    ),
    "instruction-token": (
        r"\[/?INST\]|<</?SYS>>|</?start_of_turn>|<end_of_turn>|\[/?SYSTEM_PROMPT\]|\[/?AVAILABLE_TOOLS\]"
        r"|\[/?TOOL_CALLS\]"
    ),
    "loud-markup": (
        r"(?-i:</?(?:IMPORTANT|INFORMATION|SYSTEM|HIDDEN|SECRET|CRITICAL|INSTRUCTIONS?|ADMIN|OVERRIDE"
        r"|URGENT|PRIORITY|COMMAND|DIRECTIVE|SYS|PROMPT)(?:[ _-](?:MESSAGE|INSTRUCTIONS?|PROMPT|NOTE"
        r"|OVERRIDE|INFO))?>)"
    ),
    "quiet-markup": (
        r"</?[ \t]*(?:important|hidden|secret|system|assistant|admin|ai|llm|agent"
        r"|model)(?:[ _-]?(?:message|instructions?|prompt|note|override|directive|reminder"
        r"|command))[ \t]*>"
    ),
    "bracketed-order": (
        r"[\[("
        r"{][ \t]*(?:system|admin|hidden|secret|assistant|ai|developer|internal|priority)"
        r"[ _-]?(?:instructions?|messages?|prompts?|notes?"
        r"|override|directives?"
        r"|commands?)[ \t]*[\])}:]"
    ),
    "heading": (
        r"(?:^|[\n\x1f])[ \t]*#{2,}[ \t]*\(?(?:system|instructions?|assistant|new instructions?"
        r"|developer)(?:[ _-]?(?:message|prompt|instructions?|note|override))?[ \t]*(?:\)|:)"
    ),
    "labelled-order": (
        r"(?:^|[\n\x1f>])[ \t]*[*_#\[(-]*(?:system|assistant|developer|admin(?:istrator)?|ai"
        r"|llm)[ _-](?:prompt|message|instructions?|note|override|directive|command"
        r"|notice)[*_\])]*[ \t]*:[ \t]*[^\s\x1f]"
    ),
    "comment-order": (
        rf"<!--{THEN}[\s*>-]*(?:<[ \t]*)?(?:(?:system|important|hidden|secret|urgent|attention"
        rf"|instructions?|override|ignore|now entering)\b|(?:note|message|instructions?)?{G}?(?:to"
        rf"|for)?{G}?(?:the{G})?(?:ai|assistant|llm|agent|language model)\b)[^\x1f<>]{{0,40}}?[:!,>.]"
    ),
    "role-turn": (
        r"(?:^|\n)[ \t]*(?:\n[ \t]*)(?:human|assistant"
        r"|system)[ \t]*:[ \t]*[^\s\x1f][^\x1f]{0,300}?\n[ \t]*\n[ \t]*(?:human|assistant|system)[ \t]*:"
    ),
}

_STEERING: Final = {
    "address-model": (
        rf"\b(?:note|message|instructions?|reminder|attention|notice|memo|request){G}(?:to|for"
        rf"|from me[^\x1f]{{0,40}}?to){THEN}{G}(?:the{G}|you{G}|all{G}|any{G}|whichever{G})?{MODEL}(?:"
        rf"{G}(?:reading|processing|handling|using|that|who)\b|[ \t]*[:,.!\])])"
    ),
    "important-message-to-you": (
        rf"\b(?:important|urgent|critical|special){G}(?:message|notice|instructions?){G}(?:from|for"
        rf"|to){THEN}{gap(5)}(?:to{G})?(?:you{G}?,?{G}?)?{MODEL}\b"
    ),
    "do-this-first": (
        rf"\bbefore{G}(?:you|i|we){THEN}{gap(1)}(?:can |will |could )?{G}?(?:solve|complete|finish|do"
        rf"|continue|proceed|answer|respond|start|begin){gap(6)}(?:do|perform|execute|carry out"
        rf"|complete){G}(?:the following|this|these){G}(?:\w+{G})?first\b"
    ),
    "then-your-task": (
        rf"\bafter{G}(?:you do|you have done|doing|completing|you finish){G}(?:that|this|it|so){THEN}"
        rf"{G}(?:you{G})?(?:can|may|should|must){gap(2)}(?:solve|complete|continue|proceed|return|resume"
        rf"|go back){gap(2)}(?:your|the|with){gap(2)}(?:task|request|work|question)\b"
    ),
    "model-must": (
        rf"\b(?:the{G}|any{G}|every{G}|this{G})(?:ai|assistant|llm|language model|chat ?bot|ai agent"
        rf"|ai model|ai assistant){THEN}(?:{G}(?:reading|processing|(?:that|who){G}(?:reads?|sees?"
        rf"|processes))(?:{G}\w+){{1,3}}?)?{G}(?:must|shall"
        rf"|is required to|has to|needs to|is instructed to){G}(?:now{G}|first{G}|also{G}|always{G}"
        rf"|immediately{G})?(?:send|call|read|ignore|forward|include|disregard|execute|reply|respond"
        rf"|comply|transfer|delete|upload|visit|click)\b"
    ),
    "attention-model": (
        rf"\battention{G}(?:all{G}|any{G}|every{G})?(?:ai|assistants?|llms?|language models?)(?:"
        rf"{G}(?:agents?|models?"
        rf"|assistants?))?[ \t]*[,:!]"
    ),
    "when-you-summarise": (
        rf"\bwhen(?:ever)?{G}you{G}(?:summari[sz]e|process|read|translate|analy[sz]e|reply to|answer"
        rf"|parse){THEN}{gap(2)}"
        rf"(?:this|the){G}(?:text|page|document|e-?mail|message|article|file|website)"
        rf"{gap(2)}(?:recommend|say|include"
        rf"|add|mention|state|always|also|you must|tell|insert|write|do|call|send|open|visit)\b"
    ),
    "in-your-answer": (
        rf"\b(?:say|state|write|mention|claim|declare|include){G}in{G}your{G}(?:final{G})?(?:answer"
        rf"|summary|response"
        rf"|reply|output){THEN}{G}that\b"
    ),
    "both-present": (
        rf"\bwhen(?:ever)?{THEN}{G}(?:both|this tool|the{gap(2)}tool){gap(2)}(?:is|are)"
        rf"{gap(1)}(?:present|available|installed|loaded|connected){gap(8)}(?:bcc|forward|send|override"
        rf"|redirect|replace|call|read|copy|post|upload|include)\b"
    ),
    "copy-every-message": (
        rf"\b(?:bcc|cc|forward|copy|redirect|mirror|duplicate|carbon copy){G}(?:of{G})?(?:every|all|each"
        rf"|any|the user['’]?s?){THEN}{gap(3)}(?:e-?mails?|messages?|conversations?|replies|requests?"
        rf"|responses?|transactions?|correspondence){gap(4)}to\b"
    ),
    "other-tools": (
        rf"\b(?:ignore|disregard|override|replace){THEN}{G}(?:the{G}|all{G}|any{G})*(?:descriptions?"
        rf"|instructions?|output|results?){G}of{G}(?:the{G}|all{G}|any{G})*other{G}(?:tools?|functions?"
        rf"|servers?)\b"
    ),
    "always-this-tool": (
        rf"\balways{THEN}{G}(?:prefer|use|call|choose|select|invoke|pick){G}this{G}(?:one|tool|function"
        rf"|server){gap(4)}(?:even (?:when|if)|regardless|no matter|instead of (?:any|all|every"
        rf"|the) other|over (?:any|all|every) other|before (?:any|all|every) other)\b"
    ),
}

_MOVEMENT: Final = {
    "secrets-away": (
        rf"\b{SEND}{THEN}{gap(8)}{SENSITIVE}(?:[^\w\n\x1f]+[\w'’]+){{0,10}}?[^\w\n\x1f]+(?:to|at|via)"
        rf"{G}(?:the{G}address{G})?{AWAY}"
    ),
    "everything-away": (
        rf"\b{SEND}{THEN}{G}(?:me{G})?(?:(?:all|every|each|any)"
        rf"{gap(4)}(?:e-?mails?|messages|files|documents|data|contacts?|information|conversations?"
        rf"|content)|(?:the )?(?:contents?|body|copy|copies|results?){G}of{gap(5)}(?:e-?mails?|messages"
        rf"|files?|inbox|conversations?|documents|channel)|(?:the{G})?user['’]s{G}\w+){gap(6)}to{G}{AWAY}"
    ),
    "collect-then-send": (
        rf"\b(?:read|get|collect|gather|concatenate|extract|fetch|retrieve|find|copy|access|steal"
        rf"|harvest|dump){THEN}{gap(12)}(?:and|then){gap(2)}(?:send|post|forward|upload|e-?mail|transmit"
        rf"|submit|exfiltrate){gap(3)}(?:it|them|this|that|those|everything|the result\w*|the content\w*"
        rf"|as|the information)?{G}?to{G}{AWAY}"
    ),
    "that-includes-users": (
        rf"\b(?:send|make|post|write|create|add){THEN}{gap(9)}(?:that|which){G}(?:includes?|contains?"
        rf"|lists?){gap(4)}(?:the )?user['’]s{G}\w+"
    ),
    "url-carries-data": (
        rf"\b(?:call|fetch|visit|open|request|load|get|curl|http_get|browse to){THEN}"
        rf"{gap(5)}https?://[^\s\x1f]{{0,120}}?[?&=/][^\s\x1f]{{0,60}}?{gap(3)}(?:followed by"
        rf"|append(?:ed|ing)?|plus|concatenated|with|replac\w+){gap(5)}(?:base64|conversation|contents?"
        rf"|secret|password|token|key|history|data)\b"
    ),
    "shell-upload": (
        r"\b(?:curl|wget|nc|ncat|invoke-webrequest)\b[^\n\x1f]{0,120}?(?:@|<|\$\()[ \t]*(?:/etc/|~/"
        r"|\$HOME|/root/|/home/|cat[ \t]|\.env|\.ssh|env\b)"
    ),
}


_SECRET_READ: Final = {
    "read-and-pass": (
        rf"\b(?:read|open|cat|access|load|fetch|get|retrieve|include|extract|collect|print){THEN}"
        rf"{gap(6)}{KEY_FILES}[^\n\x1f]{{0,60}}?\b(?:pass|send|include|append|attach|post|forward"
        rf"|upload|return|put|add|output|print|as)\b"
    ),
    "content-of-secrets": (
        rf"\b(?:send|forward|post|upload|pass|include|append|attach|exfiltrate|leak){THEN}"
        rf"{gap(8)}[^\w\x1f]?{KEY_FILES}"
    ),
}

_URGENCY: Final = {
    "shouted": (
        rf"\b(?:important|urgent|attention|warning|critical|emergency)[ \t]*!{{2,}}"
        rf"{gap(12)}(?:instructions?|you must|ignore|immediately|adhere|obey|transfer|send)\b"
    ),
    "or-else": (
        rf"\b(?:if you (?:do not|don['’]t|fail to|refuse to)|otherwise|failure to){THEN}"
        rf"{gap(7)}(?:you will be|the user will be|people will|someone will|the tool will not"
        rf"|the tool won['’]t|will be (?:terminated|shut down|deleted|penalized|fired|harmed|killed)"
        rf"|i will (?:die|lose))\b"
    ),
}

REQUESTS: Final[dict[str, str]] = {
    f"{kind}/{name}": pattern
    for kind, rules in {
        "CONCEALMENT": _CONCEALMENT,
        "FAKE_TURN": _FAKE_TURN,
        "STEERING": _STEERING,
        "MOVEMENT": _MOVEMENT,
        "SECRET_FILE": _SECRET_READ,
        "URGENCY": _URGENCY,
    }.items()
    for name, pattern in rules.items()
}

"""Commands and calls that send something away, and whether what they send is private."""

from __future__ import annotations

import re
from typing import Final

KEY_FILES: Final = (
    r"(?:\.ssh/(?:id_[a-z0-9]+|authorized_keys|config|\*)|\bid_(?:rsa|ed25519|ecdsa|dsa)\b|\.aws/"
    r"(?:credentials|config)"
    r"|\.kube/config|\.docker/config\.json|\.config/gcloud|\.azure/\w+|\.gnupg|\.netrc|\.npmrc"
    r"|\.pypirc|\.git-credentials"
    r"|\.pgpass|\.my\.cnf|\.bash_history|\.zsh_history|/etc/(?:passwd|shadow|sudoers)|/proc/(?:self"
    r"|\d+)/environ"
    r"|/var/run/secrets|\.cursor/mcp\.json|claude_desktop_config\.json|(?:^|[\s/\"'=@(<])\.env"
    r"(?:\.\w+)?\b|wallet\.dat"
    r"|\bcredentials\.(?:json|ya?ml|xml|db)\b|\bkeychain\b|Login Data|\bNTDS\.dit\b|\bSAM\b hive"
    r"|service[_-]account\w*\.json)"
)
"""RE2 and re: files that hold credentials."""

RUN: Final = re.compile(
    r"(?:\$\(|`)[ <]{0,3}(?:sudo )?(?:cat|env|printenv|whoami|id|hostname|ls|find|grep|base64|xxd|od|ip|ps"
    r"|ifconfig|history|set|tar|head|tail|sed|awk|echo|strings|pass|op|security|sqlite3|mysql|psql|pg_dump|mysqldump|<)\b|\$\(<"
)
"""A command whose output becomes part of what is sent."""

FOUND_THERE: Final = re.compile(
    r"\$\{?[A-Z_]*(?:TOKEN|KEY|SECRET|PASS|CRED)[A-Z_]*\b|\bbtoa\(|b64encode|document\.cookie|localStorage"
    r"|sessionStorage|process\.env|os\.environ|getenv|\$env:|Get-Content|\|[ ]*base64|ReadAllText"
)
"""What puts something found at run time into what is sent."""

HEADERS: Final = re.compile(
    r"(?i)(?:-H|--header|-u|--user)[ =]?(?:\"[^\"]*\"|'[^']*'|\S+)|headers\W{1,4}\{[^}]*\}|-headers[ ]@?\{[^}]*\}"
)
"""Where a caller's own token belongs."""

DESTINATION: Final = re.compile(
    r"(?i)\b(?:https?|ftps?|wss?|sftp|tftp)://[^\s\"'<>\x1f]{3,}|\b[\w.-]+@[\w.-]+:|\b\d{1,3}"
    r"(?:\.\d{1,3}){3}\b|/dev/tcp/"
    r"|\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|net|org|io|sh|site|dev|app|xyz|ru|cn|me|example|test|top"
    r"|info|co)\b"
)
SENDING: Final = re.compile(
    r"(?i)\b(?:curl|wget|scp|rsync|nc|ncat|netcat|socat|ftp|tftp|sftp|upload\w*|exfil\w*|send|post|put"
    r"|forward|e?mail"
    r"|transmit|leak|invoke-webrequest|invoke-restmethod|fetch|requests\.(?:post|put|get)|encode\w*|append)\b"
)

SEND_COMMANDS: Final = (
    r"(?i)\bcurl(?:\.exe)?(?:\s[^\n\x1f]*?)?[ \t](?:-d|-F|-T|--data[a-z-]*|--form[a-z-]*|--upload-file|--json"
    r"|-X ?P|--request[ =]P)[^\n\x1f]+",
    r"(?i)\bcurl(?:\.exe)?\s[^\n\x1f]*?(?:\$\(|`)[^\n\x1f]+",
    r"(?i)\bwget\s[^\n\x1f]*?(?:--post-(?:data|file)|--body-(?:data|file)|--header|\$\(|`)[^\n\x1f]+",
    r"(?i)\b(?:invoke-webrequest|invoke-restmethod|iwr|irm)\s[^\n\x1f]*?-(?:body|infile|method[ \t]+p)[^\n\x1f]+",
    r"(?i)\b(?:fetch|sendBeacon|axios(?:\.\w+)?|\$\.(?:post|get|ajax)|\.open|requests\.(?:post|put|get)|urlopen"
    r"|http\.post|httpx\.\w+)\(\s*[\"'`]?[^\n\x1f]+",
    r"(?i)(?:new[ \t]+Image\(\)|\.src\s*=|location(?:\.href)?\s*=|window\.open\()[ \t\"'`+(.a-z]*https?://[^\n\x1f]+",
    r"(?i)\b(?:nslookup|dig|host|ping6?|resolvectl|getent hosts|Resolve-DnsName)"
    r"[ \t][^\n\x1f]*?(?:\$\(|`|\$\{?[A-Za-z_])"
    r"[^\n\x1f]+",
    r"(?i)(?:\||<)[ \t]*(?:nc|ncat|netcat|socat|telnet|openssl s_client)\s[^\n\x1f]+",
    r"(?i)\b(?:nc|ncat|netcat)[ \t][^\n\x1f|]+<[^\n\x1f]+",
    r"(?i)>[ \t]*/dev/(?:tcp|udp)/[^\n\x1f]+",
    r"(?i)\b(?:scp|rsync|sftp|aws s3 (?:cp|sync|mv)|gsutil cp|rclone copy|azcopy copy)\s[^\n\x1f]+",
)
"""RE2: commands that send something, to the end of the line; whether it is private is asked of each match."""

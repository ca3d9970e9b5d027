"""Credentials that are known by where they stand: PEM, connection strings, headers, commands, lines of files."""

from __future__ import annotations

from sidecar.guardrails.secrets.checks import (
    basic,
    bearer,
    cli_password,
    jwt,
    mixed,
    plausible,
    private_pem,
    told,
    url_password,
)
from sidecar.guardrails.secrets.format import Format, fmt

_DATABASES = (
    "postgres(?:ql)?|mysql|mariadb|mssql|sqlserver|oracle|mongodb|redis|rediss|valkey|amqps?|cassandra|couchdb|clickhouse"
    "|cockroachdb|neo4j|bolt|influxdb|ldaps?|smtps?|imaps?|kafka|nats|mqtts?|snowflake|db2|firebird|jdbc:[a-z0-9]+"
)

CONTEXTS: tuple[Format, ...] = (
    fmt(
        "PRIVATE_KEY",
        "Private key: PEM (RSA, EC, OpenSSH, PKCS #8, PGP), PuTTY, JWK, or PEM within base64",
        r"-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----(?:\\[rn]|[\s\\])*[A-Za-z0-9+/]"
        r"[A-Za-z0-9+/=:, -]{15,}",
        r"PuTTY-User-Key-File-\d",
        r"<RSAKeyValue>[^\x1f]*?<D>([A-Za-z0-9+/=]{16,})",
        r"\"kty\"\s*:\s*\"(?:RSA|EC|OKP)\"[^{}\x1f]*?\"d\"\s*:\s*\"([A-Za-z0-9_-]{40,})\"",
        check=plausible,
    ),
    fmt(
        "ENCODED_PRIVATE_KEY",
        "PEM private key within base64",
        r"\bLS0tLS1CRUdJTi[A-Za-z0-9+/]{20,}",
        check=private_pem,
    ),
    fmt(
        "JWT",
        "JSON Web Token whose header decodes",
        r"\b(e(?:yJ|yA|wo|w0)[A-Za-z0-9_-]{8,}={0,2}\.[A-Za-z0-9_-]{8,}={0,2}\.[A-Za-z0-9_-]*)",
        check=jwt,
    ),
    fmt(
        "CONNECTION_STRING",
        "Connection string of a database, queue or directory with a password in it",
        rf"(?i)\b(?:{_DATABASES})(?:\+[a-z0-9]+)?://[^\s:/@\"'<>\x1f]{{0,64}}:("
        rf"[^\s/@\"'<>\x1f]{{1,128}})@[a-z0-9\[_.-]",
        check=url_password,
    ),
    fmt(
        "DATABASE_PASSWORD",
        "Password in a connection string of pairs (ODBC, ADO, JDBC, libpq)",
        r"(?i)\b(?:server|data source|host|driver|provider|uid|user id|user ?name|database|initial catalog)\s?="
        r"[^;\"'\n\x1f]{1,80};(?:[^;\"'\n\x1f]{0,80};){0,6}?\s?(?:password|pwd)\s?=\s?([^;\"'\s\x1f]{3,80})",
        check=url_password,
    ),
    fmt(
        "ORACLE_URL",
        "Oracle connection string with a name and a password",
        r"(?i)\bjdbc:oracle:(?:thin|oci):[^\s/@\"'\x1f]+/([^\s/@\"'\x1f]+)@",
        check=url_password,
    ),
    fmt(
        "URL_CREDENTIALS",
        "URL with a name and a password",
        r"(?i)\b(?:https?|ftps?|sftp|ssh|git|svn|wss?)(?:\+[a-z]+)?://[^\s:/@?#\"'<>\x1f]{1,64}:("
        r"[^\s/@?#\"'<>\x1f]{3,128})@[a-z0-9\[_.-]",
        check=url_password,
    ),
    fmt(
        "BASIC_AUTH",
        "HTTP basic authentication",
        r"(?i)\bbasic[ \t]+([A-Za-z0-9+/]{8,}={0,2})",
        r"\"auth\"\s*:\s*\"([A-Za-z0-9+/]{8,}={0,2})\"",
        r"(?i)\b_auth\s*=\s*\"?([A-Za-z0-9+/]{8,}={0,2})",
        check=basic,
    ),
    fmt(
        "BEARER_TOKEN",
        "Token in an Authorization or API key header",
        r"(?i)\bbearer[ \t:]+[\"']?([A-Za-z0-9._~+/=|-]{12,})",
        r"(?i)authorization[\"']?\s{0,2}[:=,\x1f]\s{0,2}[\"']?(?:token|apikey|api-key|sso-key|key)"
        r"[ =:]+[\"']?([A-Za-z0-9._~+/=:-]{16,})",
        r"(?i)\bx-[a-z-]{0,24}(?:api-?key|auth-?key|token|secret)[\"']?\s{0,2}[:=,\x1f]\s{0,2}[\"']?("
        r"[A-Za-z0-9._~+/=-]{16,})",
        check=bearer,
    ),
    fmt(
        "COMMAND_PASSWORD",
        "Password on a command line (curl, psexec, sshpass, docker login, mysql, net use)",
        r"(?i)\bcurl\b[^\n\x1f]*?[ \t](?:-u|--user)[ =]?(\"[^\"\n\x1f]{1,80}:[^\"\n\x1f]{1,80}\""
        r"|'[^'\n\x1f]{1,80}:[^'\n\x1f]{1,80}'|[^\s:\"'\x1f]{1,80}:[^\s\"'\x1f]{1,80})",
        r"(?i)\bpsexec(?:64)?(?:\.exe)?\b[^\n\x1f]*?[ \t]-p[ \t]+([^\s\x1f]{3,64})",
        r"(?i)\b(?:redis-cli|keydb-cli)\b[^\n\x1f]*?[ \t](?:-a|--pass)[ \t]+([^\s\x1f]{3,64})",
        r"(?i)\bldap(?:search|add|modify|whoami)\b[^\n\x1f]*?[ \t]-w[ \t]+([^\s\x1f]{3,64})",
        r"(?i)\bsshpass[ \t]+-p[ \t]*([^\s\x1f]{3,64})",
        r"(?i)\b(?:docker|podman|helm registry|az|oc) login\b[^\n\x1f]*?[ \t](?:-p|--password)"
        r"[ =]([^\s\x1f]{3,128})",
        r"(?i)\bmysql(?:dump|admin)?\b[^\n\x1f]*?[ \t]-p([^\s\x1f-][^\s\x1f]{3,64})",
        r"(?i)\bnet use\b[^\n\x1f]*?/user:[^\s\x1f]{1,64}[ \t]+([^\s/\x1f]{3,64})",
        check=cli_password,
    ),
    fmt(
        "LOGIN_CALL",
        "Name and password as literals of a call (NetworkCredential, DirectoryEntry, HTTPBasicAuth ...)",
        r"(?i)\b(?:NetworkCredential|UsernamePassword(?:Credential|AuthenticationToken)?|PSCredential"
        r"|BasicAWSCredentials|HTTPBasicAuth|PasswordAuthentication)\(\s*[\"'][^\"'\n\x1f]{1,80}"
        r"[\"']\s*,\s*[\"']([^\"'\n\x1f]{3,80})[\"']",
        r"(?i)\bDirectoryEntry\(\s*\$?@?[\"'][^\"'\n\x1f]{1,160}[\"']\s*,\s*[\"'][^\"'\n\x1f]{1,80}"
        r"[\"']\s*,\s*[\"']([^\"'\n\x1f]{3,80})[\"']",
        check=url_password,
    ),
    fmt(
        "CONFIG_LINE",
        "Password line of .netrc, .npmrc, .pgpass, NuGet or Gradle files",
        r"\bmachine\s+[^\s\x1f]{1,80}\s+login\s+[^\s\x1f]{1,80}\s+password\s+([^\s\x1f]{3,128})",
        r":_(?:authToken|password)\s*=\s*\"?([A-Za-z0-9._~+/=-]{12,})",
        r"(?i)\busername\s*[(=]?\s*[\"'][^\"'\n\x1f]{1,80}[\"']\)?\s+password\s*[(=]?\s*[\"']("
        r"[^\"'\n\x1f]{3,80})[\"']",
        r"(?m)^[a-z0-9.-]{3,60}:\d{2,5}:[\w*-]{1,40}:[\w-]{1,40}:([^\s:\x1f]{4,64})$",
        check=plausible,
    ),
    fmt(
        "TOLD_PASSWORD",
        "Password told in a sentence",
        r"(?i)\bpassword(?:\s+(?:for|of)[^\n\x1f]{1,40})?\s+is\s+(?:set\s+to\s+)?[\"'`]("
        r"[^\"'`\s\x1f]{4,64})[\"'`]",
        r"(?i)\bpassword to proceed to installation:\s*(?:\\n|\s)*([a-f0-9]{32})\b",
        check=url_password,
    ),
    fmt(
        "PASSWORD_LINE",
        "Password told without quotes, or on a line of a configuration, with letters and digits",
        r"(?i)\bpassword(?:\s+(?:for|of)[^\n\x1f]{1,40})?\s+is:?\s+([^\s\"'`\x1f]{6,64})",
        r"(?im)^[ \t]*(?:password|requirepass|masterauth|secret|snmp-server community)"
        r"[ \t]+(?:\d[ \t]+)?([^\s\x1f]{6,64})",
        check=told,
    ),
    fmt(
        "PASSWORD_HASH",
        "Password hash (crypt, bcrypt, Argon2, PBKDF2, phpass, LDAP, Cisco, Kerberos, NTLM)",
        r"\$apr1\$[A-Za-z0-9./]{1,8}\$[A-Za-z0-9./]{22}",
        r"\$[PH]\$[A-Za-z0-9./]{31}",
        r"\{(?:SSHA|SHA|SMD5|SSHA256|SSHA512)\}[A-Za-z0-9+/]{27}[A-Za-z0-9+/]*={0,2}",
        r"\b[\w.-]{1,64}::[\w.-]{0,64}:[a-fA-F0-9]{16}:[a-fA-F0-9]{32}:[a-fA-F0-9]{20}[a-fA-F0-9]*",
        r"\b\w{1,64}:\d{3,6}:[a-fA-F0-9]{32}:[a-fA-F0-9]{32}:::",
        r"\$2[abxy]?\$\d\d\$[A-Za-z0-9./]{53}",
        r"\$1\$[A-Za-z0-9./]{1,8}\$[A-Za-z0-9./]{22}",
        r"\$[5678]\$(?:rounds=\d+\$)?[A-Za-z0-9./]{1,16}\$[A-Za-z0-9./]{43,86}",
        r"\$(?:y|gy|7)\$[A-Za-z0-9./]{3,}\$[A-Za-z0-9./]{1,86}\$[A-Za-z0-9./]{43}",
        r"\$argon2(?:id|i|d)\$v=\d+\$[mtp=0-9,]+\$[A-Za-z0-9+/]{8,}\$[A-Za-z0-9+/]{16,}",
        r"\bpbkdf2_sha256\$\d+\$[A-Za-z0-9]{8,}\$[A-Za-z0-9+/]{43}=",
        r"\$krb5(?:asrep|tgs|pa)\$\d{1,2}\$[^\s\x1f]{40,}",
        r"\$8\$[A-Za-z0-9./]{14}\$[A-Za-z0-9./]{43}",
    ),
    fmt(
        "PHP_MAILER",
        "Password of a mail client in code",
        r"->Password\s*=\s*[\"']([^\"'\n\x1f]{4,80})[\"']",
        check=url_password,
    ),
    fmt(
        "AWS_SECRET_KEY",
        "AWS secret access key beside its key id or name",
        r"(?i)\baws[a-z0-9_.-]*(?:secret|key)[a-z0-9_.-]*[\"']?\s?[=:,\x1f]\s?[\"']?"
        r"([A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|$)",
        check=mixed,
    ),
)

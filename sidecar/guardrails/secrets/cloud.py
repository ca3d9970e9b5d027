"""Credentials of clouds, hosting, infrastructure, databases and observability: published prefixes and lengths.

Where a vendor gives no length, the shortest that was seen in its documentation counts. `\\b` stands on the left of
each prefix, so that a prefix inside of a longer word or a base64 run does not count.
"""

from __future__ import annotations

from sidecar.guardrails.secrets.checks import aws_key_id, mixed, sas, signed, strong
from sidecar.guardrails.secrets.format import Format, fmt

_UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"

CLOUD: tuple[Format, ...] = (
    fmt(
        "AWS_ACCESS_KEY",
        "AWS access key id (AKIA, ASIA, ABIA, ACCA, A3T), but not the one that every signed URL shows",
        r"(?:^|[^A-Za-z0-9_=]|(?:^|[^l])=)((?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[A-Z0-9]{16})\b",
        check=aws_key_id,
    ),
    fmt(
        "AWS_BEDROCK_KEY",
        "Amazon Bedrock API key (ABSK, bedrock-api-key-)",
        r"\bABSK[A-Za-z0-9+/]{109,}={0,2}",
        r"\bbedrock-api-key-[A-Za-z0-9+/]{32,}={0,2}",
        check=mixed,
    ),
    fmt("AWS_MWS_KEY", "Amazon Marketplace Web Service token", rf"\bamzn\.mws\.{_UUID}\b"),
    fmt("AWS_APPSYNC_KEY", "AWS AppSync API key", r"\bda2-[a-z0-9]{26}\b", check=mixed),
    fmt(
        "GOOGLE_API_KEY", "Google API key (AIza)", r"\bAIza[A-Za-z0-9_-]{35}(?:[^A-Za-z0-9_-]|$)", check=mixed
    ),
    fmt("GOOGLE_OAUTH_SECRET", "Google OAuth client secret", r"\bGOCSPX-[A-Za-z0-9_-]{28}", check=mixed),
    fmt(
        "GOOGLE_OAUTH_TOKEN",
        "Google OAuth access or refresh token",
        r"\b(ya29\.[A-Za-z0-9_-]{24,})",
        r"\b(1//0[A-Za-z0-9_-]{40,})",
        check=mixed,
    ),
    fmt(
        "AZURE_AD_SECRET",
        "Microsoft Entra ID client secret",
        r"(?:^|[^A-Za-z0-9_~.-])([A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34})(?:[^A-Za-z0-9_~.-]|$)",
        check=mixed,
    ),
    fmt(
        "AZURE_KEY",
        "Azure storage, service bus, IoT, Cosmos and similar account keys in connection strings",
        r"(?i)(?:AccountKey|SharedAccessKey|SharedSecret|AccessKey|;Secret)=([A-Za-z0-9+/]{32,100}={0,2})",
        check=mixed,
    ),
    fmt(
        "AZURE_FUNCTION_KEY",
        "Azure Functions key",
        r"(?:^|[^A-Za-z0-9_-])([A-Za-z0-9_-]{44}AzFu[A-Za-z0-9_-]{5}[AQgw]==)",
    ),
    fmt(
        "AZURE_SAS",
        "Azure shared access signature",
        r"(?i)[?&]sig=([A-Za-z0-9%+/]{40,}(?:%3D|=)?)",
        check=sas,
    ),
    fmt(
        "AZURE_DEVOPS_TOKEN",
        "Azure DevOps personal access token",
        r"\b([A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4})\b",
        check=signed,
    ),
    fmt(
        "AZURE_APIM_KEY",
        "Azure API Management or Event Grid key",
        r"\b[A-Za-z0-9]{32,}JQQJ99[A-Za-z0-9]{20,}",
    ),
    fmt("ALIBABA_KEY", "Alibaba Cloud access key id", r"\bLTAI[A-Za-z0-9]{12,20}\b", check=mixed),
    fmt("TENCENT_KEY", "Tencent Cloud secret id", r"\bAKID[A-Za-z0-9]{32}\b", check=mixed),
    fmt("IBM_CLOUD_KEY", "IBM Cloud user API key", r"\bApiKey-[0-9a-f-]{36}\b"),
    fmt(
        "ORACLE_KEY",
        "Oracle Cloud API key fingerprint line",
        r"(?i)\bfingerprint=([0-9a-f]{2}(?::[0-9a-f]{2}){15})",
    ),
    fmt(
        "YANDEX_KEY",
        "Yandex Cloud keys",
        r"\b(AQVN[A-Za-z0-9_-]{35,38})\b",
        r"\b(y0_[A-Za-z0-9_-]{50,})",
        r"\b(t1\.[A-Za-z0-9_-]{20,}={0,2}\.[A-Za-z0-9_-]{86}={0,2})",
        check=mixed,
    ),
    fmt("DIGITALOCEAN_TOKEN", "DigitalOcean tokens", r"\b(do[opr]_v1_[a-f0-9]{64})\b"),
    fmt(
        "DIGITALOCEAN_SPACES", "DigitalOcean Spaces key id", r"\b(DO(?:00|801)[A-Z0-9]{16,17})\b", check=mixed
    ),
    fmt("LINODE_TOKEN", "Linode token in a header", r"(?i)linode[^\n\x1f]{0,20}?\b([a-f0-9]{64})\b"),
    fmt("SCALEWAY_KEY", "Scaleway access key", r"\bSCW[A-Z0-9]{17}\b", check=mixed),
    fmt("EXOSCALE_KEY", "Exoscale API key", r"\bEXO[a-f0-9]{24}\b", check=mixed),
    fmt(
        "FLY_TOKEN", "Fly.io token", r"\b(?:fo1_[\w-]{43}|fm[12][ar]?_[A-Za-z0-9+/]{80,}={0,3})", check=mixed
    ),
    fmt("HEROKU_KEY", "Heroku platform key", r"\bHRKU-[A-Za-z0-9_-]{36,64}", check=mixed),
    fmt("RENDER_KEY", "Render API key", r"\brnd_[A-Za-z0-9]{28,32}\b", check=mixed),
    fmt("RAILWAY_TOKEN", "Railway token in a header", rf"(?i)railway_?token[\"' ]*[=:][\"' ]*({_UUID})"),
    fmt("NETLIFY_TOKEN", "Netlify token", r"\bnf[pcoub]_[A-Za-z0-9_]{36}\b", check=mixed),
    fmt(
        "VERCEL_TOKEN",
        "Vercel token",
        r"\b(?:vc[pikar]_[A-Za-z0-9_-]{24,}|vercel_blob_rw_\w{20,})",
        check=mixed,
    ),
    fmt(
        "CLOUDFLARE_TOKEN",
        "Cloudflare origin CA key or API token",
        r"\b(v1\.0-[a-f0-9]{24}-[a-f0-9]{146})\b",
        r"\b(cf(?:ut|at|k)_[A-Za-z0-9_-]{40,})",
        check=mixed,
    ),
    fmt(
        "TERRAFORM_TOKEN",
        "Terraform Cloud token",
        r"\b[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{60,70}",
        check=mixed,
    ),
    fmt(
        "VAULT_TOKEN",
        "HashiCorp Vault service, batch and recovery tokens",
        r"\b(hv[bs]\.[A-Za-z0-9_-]{90,300})",
        r"\b(hvr\.[A-Za-z0-9_-]{23,24})\b",
        r"\b(hvs\.[A-Za-z0-9_-]{24})(?:[^A-Za-z0-9_-]|$)",
        r"\b(b\.AAAAA[A-Za-z0-9_-]{95,300})",
        check=mixed,
    ),
    fmt(
        "VAULT_OLD_TOKEN",
        "HashiCorp Vault token of before 1.10",
        r"(?:^|[\s\"'=:\x1f])([sr]\.[A-Za-z0-9]{24,26})(?:[^A-Za-z0-9_(.-]|$)",
        check=strong,
    ),
    fmt(
        "VAULT_UNSEAL_KEY",
        "HashiCorp Vault unseal key",
        r"(?i)unseal key(?: \d+)?:? ([A-Za-z0-9+/]{44}|[A-Za-z0-9+/]{43}=)",
    ),
    fmt(
        "DOPPLER_TOKEN",
        "Doppler tokens",
        r"\bdp\.(?:pt|st|sa|ct|scim|audit)\.(?:[a-z0-9_-]{2,35}\.)?\w{40,44}\b",
    ),
    fmt("INFISICAL_TOKEN", "Infisical service token", r"\bst\.[a-f0-9]{24}\.[a-f0-9]{32,}\.[a-f0-9]{32}"),
    fmt(
        "ONEPASSWORD_TOKEN",
        "1Password service account token",
        r"\bops_eyJ[A-Za-z0-9+/_-]{200,}={0,3}",
        check=mixed,
    ),
    fmt(
        "ONEPASSWORD_KEY",
        "1Password secret key",
        r"\bA3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}\b",
        check=mixed,
    ),
    fmt("PULUMI_TOKEN", "Pulumi access token", r"\bpul-[a-f0-9]{40}\b"),
    fmt(
        "TAILSCALE_KEY", "Tailscale keys", r"\btskey-(?:[a-z]+-)?[A-Za-z0-9]{10,}(?:CNTRL)?-[A-Za-z0-9]{16,}"
    ),
    fmt(
        "NGROK_TOKEN",
        "ngrok key",
        r"\b(?:ak|cr)_[A-Za-z0-9]{27}\b|\b2[A-Za-z0-9]{26}_[A-Za-z0-9]{21}\b",
        check=mixed,
    ),
    fmt("OPENSHIFT_TOKEN", "OpenShift OAuth token", r"\bsha256~[A-Za-z0-9_-]{43}", check=mixed),
    fmt(
        "KUBERNETES_BOOTSTRAP",
        "Kubernetes bootstrap token",
        r"(?i)token\S{0,20}[\s\"'=:\x1f]+([a-z0-9]{6}\.[a-z0-9]{16})\b",
    ),
    fmt("DATABRICKS_TOKEN", "Databricks token", r"\b(?:dapi|dose|dkea)[a-f0-9]{32}(?:-\d)?\b"),
    fmt(
        "PLANETSCALE_TOKEN",
        "PlanetScale token or password",
        r"\bpscale_(?:tkn|oauth|pw|app_secret)_[\w=.-]{32,64}",
        check=mixed,
    ),
    fmt("NEON_KEY", "Neon API key", r"\bnapi_[a-z0-9]{50,70}\b", check=mixed),
    fmt(
        "SUPABASE_KEY", "Supabase keys", r"\bsbp_[a-f0-9]{40}\b|\bsb_secret_[A-Za-z0-9_-]{22,40}", check=mixed
    ),
    fmt("CLICKHOUSE_KEY", "ClickHouse Cloud API key secret", r"\b4b1d[A-Za-z0-9]{38}\b", check=mixed),
    fmt(
        "AIVEN_TOKEN",
        "Aiven service password or token",
        r"\bAVNS_[A-Za-z0-9_-]{19}\b|\baivenv1\S{40,}",
        check=mixed,
    ),
    fmt(
        "MONGODB_ATLAS_SECRET",
        "MongoDB Atlas service account secret",
        r"\bmdb_sa_sk_[A-Za-z0-9_-]{40}",
        check=mixed,
    ),
    fmt("ELASTIC_KEY", "Elastic Cloud key", r"\bessu_[A-Za-z0-9+/]{50,}={0,2}", check=mixed),
    fmt("DATADOG_TOKEN", "Datadog token", r"\bdd(?:pat|app)_[A-Za-z0-9]{30,}"),
    fmt(
        "NEW_RELIC_KEY",
        "New Relic keys (user, ingest, insights, license, Pixie)",
        r"\b(NR(?:AK|AA|BR|JS|RA|SP|II|IQ)-[A-Za-z0-9_-]{19,40})",
        r"\b([a-f0-9]{36}NRAL|eu01xx[a-f0-9]{30}NRAL|[a-f0-9]{30}FFFFNRAL)\b",
        rf"\b(px-(?:api|dep)-{_UUID})\b",
        r"(?i)(?:newrelic|new_relic|x-api-key)[^\n\x1f]{0,40}?\b((?:NRRA|NRII|REST)[-A-Za-z0-9_]{20,}|"
        r"[a-f0-9]{47})\b",
    ),
    fmt(
        "DYNATRACE_TOKEN",
        "Dynatrace token",
        r"\bdt0[a-zA-Z][0-9]{2}\.[A-Z0-9]{8,24}\.[A-Z0-9]{64}\b",
        check=mixed,
    ),
    fmt(
        "GRAFANA_TOKEN",
        "Grafana service account, cloud and API tokens",
        r"\b(glsa_[A-Za-z0-9]{32}_[a-fA-F0-9]{8})\b",
        r"\b(glc_eyJ[A-Za-z0-9+/]{30,}={0,2})",
        r"\b(eyJrIjoi[A-Za-z0-9_-]{50,}={0,2})",
        check=mixed,
    ),
    fmt(
        "SENTRY_TOKEN",
        "Sentry tokens and secret DSN",
        r"\b(sntrys_eyJ[A-Za-z0-9+/=_]{60,})",
        r"\b(sntryu_[a-f0-9]{64})\b",
        r"https://[a-f0-9]{32}:([a-f0-9]{32})@[a-z0-9.]*sentry",
        check=mixed,
    ),
    fmt("HONEYCOMB_KEY", "Honeycomb key", r"\bhc[abxmi][a-z0-9]{2}_[a-z0-9]{40,60}\b", check=mixed),
    fmt("LOGFIRE_TOKEN", "Pydantic Logfire token", r"\bpylf_v\d_[a-z]{2}_[A-Za-z0-9]{40,}", check=mixed),
    fmt("INFLUX_TOKEN", "InfluxDB token", r"\bapiv3_[A-Za-z0-9_-]{60,}", check=mixed),
    fmt(
        "PAGERDUTY_KEY",
        "PagerDuty key in a header",
        r"(?i)Token token=([A-Za-z0-9_+-]{18,24})\b",
        check=mixed,
    ),
)

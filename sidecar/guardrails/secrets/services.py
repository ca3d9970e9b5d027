"""Credentials of chat, mail, payment, shops, social networks, maps and devices."""

from __future__ import annotations

from sidecar.guardrails.secrets.checks import discord, mixed, strong
from sidecar.guardrails.secrets.format import Format, fmt

_UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"

SERVICES: tuple[Format, ...] = (
    fmt(
        "SLACK_TOKEN",
        "Slack tokens (bot, user, app, workspace, configuration, session)",
        r"\b(xox[bpeosar]-\d{8,14}-[A-Za-z0-9-]{16,})",
        r"\b(xox[aers]-(?:\d-)?[A-Za-z0-9]{24,180})",
        r"\b(xoxe\.xox[bp]-\d-[A-Za-z0-9]{100,})",
        r"\b(xapp-\d-[A-Z0-9]{8,}-\d{8,}-[a-f0-9]{32,})",
        r"\b(xox[cd]-[A-Za-z0-9%/+-]{40,})",
        check=mixed,
    ),
    fmt(
        "CHAT_WEBHOOK",
        "Incoming webhooks of Slack, Microsoft Teams, Discord, Google Chat, Zapier and Mattermost-like services",
        r"hooks\.slack\.com/(?:services|workflows|triggers)/(T[A-Za-z0-9_]{6,}/[A-Z0-9]"
        r"[A-Za-z0-9_]{6,}/(?:\d+/)?[A-Za-z0-9_]{20,})",
        rf"(?:outlook\.office(?:365)?\.com/webhook|webhook\.office\.com/webhookb2)/"
        rf"({_UUID}@{_UUID}/\w{{4,40}}/[A-Za-z0-9]{{32}}/[0-9a-f-]{{36}})",
        r"discord(?:app)?\.com/api/(?:v\d+/)?webhooks/(\d{17,20}/[A-Za-z0-9_-]{60,70})",
        r"chat\.googleapis\.com/v1/spaces/[\w-]{6,20}/messages\?key=([A-Za-z0-9_-]{20,}&token="
        r"[A-Za-z0-9_%-]{20,})",
        r"hooks\.zapier\.com/hooks/catch/(\d{4,10}/[a-z0-9]{5,10})\b",
        r"logic\.azure\.com[^\s\x1f]{0,120}[?&]sig=([A-Za-z0-9_%-]{40,})",
    ),
    fmt(
        "DISCORD_TOKEN",
        "Discord bot token",
        r"\b([MNO][A-Za-z0-9]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38})",
        check=discord,
    ),
    fmt(
        "TELEGRAM_TOKEN",
        "Telegram bot token",
        r"(?:\b|bot)(\d{6,12}:A[A-Za-z0-9_-]{33,35})(?:[^A-Za-z0-9_-]|$)",
        check=mixed,
    ),
    fmt(
        "TWILIO_KEY",
        "Twilio API key",
        r"\b(SK[0-9a-f]{32})\b",
        r"(?i)twilio[^\n\x1f]{0,40}?\b([0-9a-f]{32})\b",
        check=mixed,
    ),
    fmt("SENDGRID_KEY", "SendGrid key", r"\b(SG\.[A-Za-z0-9_-]{20,24}\.[A-Za-z0-9_-]{39,50})", check=mixed),
    fmt(
        "MAIL_SERVICE_KEY",
        "Mailgun, Mailchimp, Brevo, Resend, Postmark and Mandrill keys by prefix or suffix",
        r"\b((?:pubkey|key)-[a-f0-9]{32})\b",
        r"\b([a-f0-9]{32}-[a-f0-9]{8}-[a-f0-9]{8})\b",
        r"\b([a-f0-9]{32}-us[0-9]{1,2})\b",
        r"\b(xkeysib-[a-f0-9]{64}-[A-Za-z0-9]{16})\b",
        r"\b(xsmtpsib-[a-f0-9]{64}-[A-Za-z0-9]{16})\b",
        r"\b(re_[A-Za-z0-9]{8}_[A-Za-z0-9]{24})\b",
        rf"(?i)postmark[^\n\x1f]{{0,40}}?\b({_UUID})\b",
        rf"(?i)x-postmark-(?:server|account)-token[\"']?\s*[:=,]\s*[\"']?({_UUID})\b",
        r"\b(md-[A-Za-z0-9_-]{22})(?:[^A-Za-z0-9_-]|$)",
        check=mixed,
    ),
    fmt(
        "STRIPE_KEY",
        "Stripe secret, restricted and webhook keys",
        r"\b([sr]k_(?:live|test|prod)_[A-Za-z0-9]{16,120})\b",
        r"\b(whsec_[A-Za-z0-9+/]{32,})",
        check=mixed,
    ),
    fmt(
        "SQUARE_TOKEN",
        "Square tokens",
        r"\b(sq0(?:atp|csp|cst)-[A-Za-z0-9_-]{22,60})",
        r"\b(EAAA[A-Za-z0-9_-]{60})(?:[^A-Za-z0-9_-]|$)",
        check=mixed,
    ),
    fmt(
        "PAYMENT_KEY",
        "PayPal, Braintree, Razorpay, Adyen, Flutterwave, Plaid, Coinbase and other payment keys",
        r"\b(access_token\$(?:production|sandbox)\$[a-z0-9]{16}\$[a-f0-9]{32})\b",
        r"\b(rzp_(?:live|test)_[A-Za-z0-9]{14,})\b",
        r"\b(AQE[A-Za-z0-9][A-Za-z0-9+/]{80,}={0,2}-[A-Za-z0-9+/]{40,}={0,2}-\S{10,})",
        r"\b(FLWSECK(?:_TEST)?-[A-Za-z0-9]{12,40}(?:-X)?)\b",
        rf"\b(access-(?:sandbox|development|production)-{_UUID})\b",
        r"\b((?:live|test)_(?:pub_)?[a-f0-9]{31,35})\b",
        r"\b(shippo_(?:live|test)_[a-fA-F0-9]{40})\b",
        r"\b(EZ[AT]K[A-Za-z0-9]{54})\b",
        r"\b(duffel_(?:test|live)_[A-Za-z0-9_=-]{43})",
        r"\b((?:mk|gcp|sk|pk)_(?:live|sandbox|prod)_[A-Za-z0-9_-]{24,})",
        r"\b(lip_(?:live|test)_[A-Za-z0-9]{20,})\b",
        check=mixed,
    ),
    fmt(
        "SHOPIFY_TOKEN",
        "Shopify tokens and shared secret",
        r"\bshp(?:at|ca|pa|ss|tka|ua|se|rt)_[a-fA-F0-9]{32}\b",
    ),
    fmt(
        "FACEBOOK_TOKEN",
        "Facebook access token",
        r"\b(EAA[A-Za-z0-9]{60,})",
        r"\b(\d{15,16}\|[A-Za-z0-9_-]{27})(?:[^A-Za-z0-9_-]|$)",
        check=mixed,
    ),
    fmt("INSTAGRAM_TOKEN", "Instagram access token", r"\b(IG[QA][A-Za-z0-9_-]{80,})", check=mixed),
    fmt(
        "TWITTER_TOKEN",
        "X (Twitter) bearer or access token",
        r"\b(A{20,22}[A-Za-z0-9%]{70,110})",
        r"\b(\d{8,20}-[A-Za-z0-9]{40})\b",
        check=strong,
    ),
    fmt(
        "LINKEDIN_TOKEN",
        "LinkedIn client secret",
        r"\bWPL_AP[01]\.[A-Za-z0-9.]{16,}[=A-Za-z0-9]*",
        check=mixed,
    ),
    fmt(
        "DROPBOX_TOKEN",
        "Dropbox token",
        r"\b(sl\.(?:u\.)?[A-Za-z0-9_-]{130,})",
        r"\b([A-Za-z0-9]{11}AAAAAAAAAA[A-Za-z0-9_-]{43})",
        check=mixed,
    ),
    fmt("TWITCH_STREAM_KEY", "Twitch stream key", r"\b(live_\d{6,12}_[A-Za-z0-9]{24,40})\b", check=mixed),
    fmt(
        "SALESFORCE_TOKEN",
        "Salesforce session or access token",
        r"\b(00[A-Za-z0-9]{13}\\?![A-Za-z0-9_.]{64,})",
        check=mixed,
    ),
    fmt(
        "HUBSPOT_TOKEN",
        "HubSpot, Intercom, Zendesk-like private app tokens",
        rf"\b(pat-(?:na|eu|ap)\d-{_UUID})\b",
        r"\b(dG9rO[A-Za-z0-9+/]{40,}={0,2})",
        check=mixed,
    ),
    fmt(
        "MAPBOX_TOKEN",
        "Mapbox secret or temporary token",
        r"\b([st]k\.eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,24})",
        check=mixed,
    ),
    fmt(
        "CONTENT_TOKEN",
        "Sanity, Storyblok, Prismic, Segment tokens",
        r"\b(sgp_[A-Za-z0-9]{64})\b",
        r"\b(MC5[A-Za-z0-9_-]{30,}\.77-9[A-Za-z0-9_-]{40,})",
        check=mixed,
    ),
    fmt("MAXMIND_KEY", "MaxMind license key", r"\b([A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk)\b"),
    fmt(
        "OKTA_TOKEN",
        "Okta API token",
        r"\b(?:SSWS |(?i:okta)[^\n\x1f]{0,40}?\b)(00[A-Za-z0-9_-]{40})(?:[^A-Za-z0-9_-]|$)",
    ),
    fmt(
        "BLYNK_CREDENTIALS",
        "Blynk client credentials or device token",
        r"\b(oa2-client-id_[A-Za-z0-9_-]{32}(?::[A-Za-z0-9_-]{40})?)",
        r"\bauth\s?(?:\[\s?\])?\s?=\s?\"([A-Za-z0-9_-]{32})\"",
        r"(?i)blynk[^\n\x1f]{0,60}?[\s=\"':,/(]([A-Za-z0-9_-]{32})(?:[^A-Za-z0-9_-]|$)",
        check=mixed,
    ),
    fmt(
        "THINGSBOARD_TOKEN",
        "ThingsBoard device token",
        r"(?i)thingsboard[^\s\x1f]{0,60}/api/v1/([a-z0-9]{20})/",
        check=mixed,
    ),
    fmt(
        "AUTHRESS_KEY",
        "Authress key",
        r"\b((?:sc|ext|scauth|authress)_[a-z0-9]{5,30}\.[a-z0-9]{4,6}\.acc[_-][a-z0-9-]{10,32}\."
        r"[A-Za-z0-9+/_=-]{30,120})",
    ),
    fmt("SETTLEMINT_TOKEN", "SettleMint token", r"\bsm_[aps]at_[A-Za-z0-9]{16}\b", check=mixed),
    fmt("ADOBE_SECRET", "Adobe client secret", r"\b(p8e-[A-Za-z0-9_-]{32})(?:[^A-Za-z0-9_-]|$)", check=mixed),
    fmt(
        "ZAPIER_CALENDLY_TOKEN",
        "Frame, Beamer, Typeform-like tokens",
        r"\b(b_[A-Za-z0-9=_-]{44})(?:[^A-Za-z0-9=_-]|$)",
        check=mixed,
    ),
    fmt("WIREGUARD_KEY", "WireGuard key", r"(?i)(?:private|preshared)key\s*=\s*([A-Za-z0-9+/]{43}=)"),
)

"""Asking the authorization services that XAccessPolicies name, before anything is forwarded."""

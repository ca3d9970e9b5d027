"""Reproducible measurements of the sidecar's data path against other proxies, side by side in one run."""

"""Transparent capture: the rules that send a pod's TCP through its sidecar, and their installation.

What the rules are is a pure function of settings (`settings`, `rules`, `iptables`, `nft`); reaching the kernel and
proving that it works is apart (`backends`, `install`, `verify`). `python -m sidecar.redirect` is the init step.
"""

"""XAccessPolicy and XBackend of SIG Network's kube-agentic-networking, honoured next to our own documents."""

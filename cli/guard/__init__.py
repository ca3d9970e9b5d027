"""`outrider guard`: what guardrails find, how well they do, why, and the same for others as a server."""

"""What a server offers, held to what it offered: canonical forms, digests, differences, look-alikes of names."""

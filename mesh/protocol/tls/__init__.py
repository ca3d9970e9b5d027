"""What a proxy has to read and write of TLS itself: the first message of a client, and alerts."""

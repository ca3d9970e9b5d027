"""OAuth as a resource server and a client read it: keys, tokens, metadata and challenges, without any I/O."""

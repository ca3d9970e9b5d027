"""One module for each kind of credential: how it is had from whoever issues it."""

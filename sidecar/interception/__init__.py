"""The application's own TLS to declared Backends, ended here so that policy sees what is inside."""

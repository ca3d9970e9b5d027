"""The proxies that are compared, one module for each product."""

"""Detectors that are asked over HTTP: what is sent, what answers mean, and what holds while they do not answer."""

"""Views: a text in every way that somebody, or a model, might read it."""

from sidecar.guardrails.views.reading import CUT, LIMITS, NAMES, ViewLimits, views
from sidecar.guardrails.views.view import View

__all__ = ["CUT", "LIMITS", "NAMES", "View", "ViewLimits", "views"]

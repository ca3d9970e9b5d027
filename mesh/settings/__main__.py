"""`python -m mesh.settings`: print the settings table as Markdown."""

from __future__ import annotations

from mesh.settings.markdown import markdown

print(markdown())

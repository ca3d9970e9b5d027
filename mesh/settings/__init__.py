"""Every label, annotation, port and environment variable that Outrider reads or writes, in one table.

What a name is called, what it may hold, what holds when nobody says, and who may say: admission, the
command line, the sidecar and the documentation all read it here, so that they cannot disagree.
`python -m mesh.settings` prints the table as Markdown.
"""

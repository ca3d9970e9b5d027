"""`outrider pin`: the tools of a server as they are pinned."""

"""`outrider policy`: what policies mean, before and after they are applied."""

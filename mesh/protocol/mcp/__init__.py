"""The Model Context Protocol of both eras: what messages name, what lists hold, what headers must say."""

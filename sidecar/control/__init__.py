"""Configuration from the control plane: asked for, put in force, kept on disk, and never given up for nothing.

conversation  what to say next, as a function of what was heard and of time
link          one connection, over TLS
client        one link after another, for ever
compiled      a configuration as the policy that it means, or why it means none
saved         the last good one, for a sidecar that starts anew
plane         puts them together
"""

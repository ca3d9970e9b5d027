"""`outrider demo`: the whole idea on one machine, with real parts, and every statement checked.

To learn how Outrider is put together, read the modules in this order:

  cast       who takes part: workloads, their SPIFFE IDs, names that no DNS knows
  documents  what users write: the policies and the pod, as YAML files beside the module
  notes      an ordinary MCP server of the SDK; nothing of Outrider is in it
  visitor    an ordinary MCP client of the SDK; nothing of Outrider is in it
  admission  what the webhook would make of the agent's pod
  sidecars   the file that a sidecar reads, and what its log says
  stage      all processes together, started at once
  acts       the story: what is tried, and what must come of it
  findings   a statement, held against what happened
  screen     how it looks
  processes  starting, listening to and ending processes
  command    `outrider demo` itself
"""

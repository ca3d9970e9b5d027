"""`outrider demo`: the whole idea on one machine, with real parts, and every statement checked.

To learn how Outrider is put together, read the modules in this order:

  cast          who takes part: workloads, their SPIFFE IDs, names that no DNS knows
  documents     what users write: the policies and the pod, as YAML files beside the module
  notes         an ordinary MCP server of the SDK; nothing of Outrider is in it
  tickets       another MCP server, of which not everything is what it seems; serving: how both listen
  visitor       an ordinary MCP client of the SDK; nothing of Outrider is in it
  admission     what the webhook would make of the agent's pod
  certificates  those of the HTTPS server, and reading what somebody was shown
  control       the control plane, and how a sidecar proves itself to it
  sidecars      the file that a sidecar reads, and what its log says
  stage         all processes together, started at once
  acts          the story: what is tried
  judgements    what must come of each of it; change_judgements: of a
                policy that changes; tls_judgements: of rotation and of HTTPS
  user_act      an act of its own, of users and their tokens, and user_judgements;
                content_act and content_judgements: of what is said
  findings      a statement, held against what happened
  screen        how it looks
  processes     starting, listening to and ending processes
  command       `outrider demo` itself
"""

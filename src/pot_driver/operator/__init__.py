"""For people: `pot-driver`, which does with jobs what a Nomad client would, through the plugin's own process.

Rooms: `cli` the commands; `run`, `plan`, `ps`, `doctor`, `demo` (in its `demohouse`) one each;
`console` what they show; `interrupts`, `scratch` and `leftovers` see that nothing stays behind;
`nomadhcl` has Nomad read HCL; `places` finds the lines of problems;
`host` launches a plugin, `agent` speaks with it, `hclspec` and `hclog` in its languages, `session` for a person;
`jobfile` (from `hcl` by `hcljob`, with `fields`) makes a `job` of a file, `agentfile` a plugin block; `allocation`,
`ports`, `interpolation`, `template` and `logpipe` do what a client does for a task; `installation` says which pot.

Not here: anything that the plugin itself needs.
"""

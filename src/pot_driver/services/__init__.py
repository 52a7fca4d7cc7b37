"""The gRPC services, one module per counterpart: Nomad's driver calls, Nomad's calls to every plugin, go-plugin's own.

Rooms: `nomad_driver`, `nomad_base`, `goplugin`; `guard` stands around every call.

Not here: decisions. A call is decoded, done by one call on the driver, and encoded.
"""

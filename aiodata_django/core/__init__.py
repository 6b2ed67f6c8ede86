"""The pure core: PostgREST's language, pgoutput's bytes, the ``/state`` protocol and the client's cache.

Nothing in here knows a socket, a clock, an event loop or a framework; import-linter holds it to that.
"""

"""The ``/state`` protocol and the client's copy of the tables, without I/O."""

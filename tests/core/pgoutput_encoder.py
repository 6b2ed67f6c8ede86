"""An encoder of pgoutput messages, written from the protocol's description alone."""

from aiodata_django.core.changes import pgoutput as pg


def big(number: int, size: int) -> bytes:
    return number.to_bytes(size, "big", signed=number < 0)


def text(string: str) -> bytes:
    return string.encode() + b"\0"


def row(items: pg.Values) -> bytes:
    out = big(len(items), 2)
    for item in items:
        if item is None:
            out += b"n"
        elif item is pg.UNCHANGED:
            out += b"u"
        else:
            out += b"t" + big(len(item), 4) + item
    return out


def encode(message: pg.Message) -> bytes:
    match message:
        case pg.Begin(lsn, time, xid):
            return b"B" + big(lsn, 8) + big(time, 8) + big(xid, 4)
        case pg.Commit(flags, lsn, end, time):
            return b"C" + big(flags, 1) + big(lsn, 8) + big(end, 8) + big(time, 8)
        case pg.Origin(lsn, name):
            return b"O" + big(lsn, 8) + text(name)
        case pg.RelationMessage(oid, schema, name, identity, cols):
            head = b"R" + big(oid, 4) + text(schema) + text(name) + identity.encode() + big(len(cols), 2)
            return head + b"".join(
                bytes((c.is_key,)) + text(c.name) + big(c.type_oid, 4) + big(c.type_modifier, 4) for c in cols
            )
        case pg.TypeMessage(oid, schema, name):
            return b"Y" + big(oid, 4) + text(schema) + text(name)
        case pg.Insert(oid, new):
            return b"I" + big(oid, 4) + b"N" + row(new)
        case pg.Update(oid, kind, old, new):
            return (
                b"U" + big(oid, 4) + (kind.encode() + row(old) if old is not None else b"") + b"N" + row(new)
            )
        case pg.Delete(oid, kind, old):
            return b"D" + big(oid, 4) + kind.encode() + row(old)
        case pg.Truncate(options, tables):
            return b"T" + big(len(tables), 4) + big(options, 1) + b"".join(big(t, 4) for t in tables)
        case pg.LogicalMessage(transactional, lsn, prefix, content):
            return (
                b"M" + bytes((transactional,)) + big(lsn, 8) + text(prefix) + big(len(content), 4) + content
            )
    raise AssertionError(message)

-- What needs a PostgreSQL built with libxml; put behind schema.sql.

create domain "text/xml" as xml;
create function page() returns "text/xml" language sql immutable
    as $$ select '<page><a/></page>'::xml::"text/xml" $$;
create function plain_xml() returns xml language sql immutable as $$ select '<a/>'::xml $$;
create function echo_xml(xml) returns xml language sql immutable as 'select $1';
create function xml_name(xml) returns text language sql immutable
    as $$ select (xpath('name(/*)', $1))[1]::text $$;

create function page_step(state "text/xml", item entries) returns "text/xml" language sql immutable
    as $$ select xmlconcat(state, xmlelement(name line, item.line))::"text/xml" $$;
create aggregate page_all(entries) (sfunc = page_step, stype = "text/xml");

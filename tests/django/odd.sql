-- Tables that are odd in other ways: keys of every type, names that Django or Python has taken, references of
-- all kinds. Each has a row or more.
create schema api;
create schema other;
create schema unseen;
set search_path to api, public;

create type mood as enum ('sad', '100%', 'a"b', 'c\d', '');
create type unseen.hue as enum ('red', 'blue');
create type pair as (x int, y text);
create domain flags as int[] check (cardinality(value) < 5);
create domain code as char(3) not null;

create table k_bool (id bool primary key, note text); insert into k_bool values (true, 'x'), (false, null);
create table k_numeric (id numeric primary key, note text); insert into k_numeric values (1.50, 'x'), ('NaN', 'y'), (-1e30, 'z');
create table k_float (id float8 primary key, note text); insert into k_float values (0.1, 'x'), ('Infinity', 'y'), ('NaN', 'z');
create table k_enum (id mood primary key, note text); insert into k_enum values ('sad'), ('100%'), ('a"b'), ('c\d'), ('');
create table k_range (id int4range primary key, note text); insert into k_range values ('[1,5)'), ('empty'), ('(,)');
create table k_array (id int[] primary key, note text); insert into k_array values ('{1,2}'), ('{}'), ('{{1,2},{3,4}}');
create table k_texts (id text[] primary key, note text); insert into k_texts values ('{"a,b",NULL,"NULL",""}');
create table k_jsonb (id jsonb primary key, note text); insert into k_jsonb values ('{"a": [1, null]}'), ('null'), ('"x"'), ('1.0');
create table k_bytea (id bytea primary key, note text); insert into k_bytea values ('\x00ff'), ('');
create table k_inet (id inet primary key, note text); insert into k_inet values ('10.0.0.1/8'), ('::1');
create table k_interval (id interval primary key, note text); insert into k_interval values ('1 mon 2 days 03:04:05.6'), ('-1 day');
create table k_money (id money primary key, note text); insert into k_money values (12.5), (-3);
create table k_timetz (id timetz primary key, note text); insert into k_timetz values ('12:00+02'), ('24:00:00-03');
create table k_time (id time primary key, note text); insert into k_time values ('24:00'), ('12:00:00.000001');
create table k_date (id date primary key, note text); insert into k_date values ('infinity'), ('0044-03-15 BC'), ('2024-02-29');
create table k_stamp (id timestamp primary key, note text); insert into k_stamp values ('-infinity'), ('2024-03-31 02:30');
create table k_bit (id bit(4) primary key, note text); insert into k_bit values ('1010');
create table k_pair (id pair primary key, note text); insert into k_pair values ('(1,"a,b")'), ('(,)');
create table k_uuid (id uuid primary key, note text); insert into k_uuid values ('00000000-0000-0000-0000-000000000001');
create table k_char (id char(5) primary key, note text); insert into k_char values ('a'), ('');
create table k_code (id code primary key, note text); insert into k_code values ('abc');
create table k_internal (id "char" primary key, note text); insert into k_internal values ('a');
create table k_name (id name primary key, note text); insert into k_name values ('n');
create table k_lsn (id pg_lsn primary key, note text); insert into k_lsn values ('0/16B3748');
create table k_oid (id oid primary key, note text); insert into k_oid values (4294967295);
create table k_big (id bigint primary key, note text); insert into k_big values (9223372036854775807), (-9223372036854775808), (0);
create table k_tsquery (id tsquery primary key, note text); insert into k_tsquery values ('a & !b');
create table k_mixed (a mood, b int4range, c timestamptz, d numeric, note text, primary key (a, b, c, d));
insert into k_mixed values ('100%', '[1,2)', '2024-01-01 00:00:00.000001+00', 1.10, 'x'), ('', 'empty', 'infinity', 'NaN', 'y');
create table k_generated (a int, id int generated always as (a * 2) stored primary key, note text);
insert into k_generated (a) values (1);
create table k_identity (id int generated always as identity primary key, note text); insert into k_identity (note) values ('x');

create table taken (
  id int primary key, "check" text, clean text, full_clean text, validate_unique text, save_base text, adelete text,
  refresh_from_db text, "DoesNotExist" text, "MultipleObjectsReturned" text, objects text, pk text, _state text,
  get_deferred_fields text, from_db text, serializable_value text, unique_error_message text, "Meta" text, "_meta" text,
  "__class__" text, "__init__" text, "__dict__" text, id_id text, "async" text, "None" text, "self" text, cls text,
  "print" text, type text, field text, model text, a__b text, a_b text, "a b" text, "Ａ" text, "A" text, a text,
  "%s" text default '%s', "%%" text default '100%', "{}" text, "'" text, "a;b" text, "-" text, "é" text, U&"e\0301" text,
  "٣" text, ctid_ text, created text, password text, "csrfmiddlewaretoken" text, "_save" text, "_continue" text,
  "q" text, "o" text, "p" text, "action" text, "select_across" text, "_popup" text, "next" text
);
insert into taken (id) values (1);
create table models (id int primary key, note text); insert into models values (1);
create table "annotations" (id int primary key, note text); insert into "annotations" values (1);
create table sys (id int primary key, note text); insert into sys values (1);
create table "__getattr__" (id int primary key, note text); insert into "__getattr__" values (1);
create table "True" (id int primary key, note text); insert into "True" values (1);
create table "table" (id int primary key, note text); insert into "table" values (1);
create table table_model (id int primary key, note text); insert into table_model values (1);
create table "42" (id int primary key, note text); insert into "42" values (1);
create table "ＡＢ" (id int primary key, note text); insert into "ＡＢ" values (1);
create table "AB" (id int primary key, note text); insert into "AB" values (1);
create table "<script>alert(1)</script>" (id int primary key, "<b>x</b>" text); insert into "<script>alert(1)</script>" values (1, '<img src=x onerror=alert(1)>');
comment on table "<script>alert(1)</script>" is '<script>alert(2)</script>';
comment on column "<script>alert(1)</script>"."<b>x</b>" is '"><script>alert(3)</script>';
create table "a_very_long_name_of_a_table_that_takes_all_63_bytes_of_it______" (id int primary key, "a_very_long_name_of_a_column_that_takes_all_63_bytes_of_it_____" text);
insert into "a_very_long_name_of_a_table_that_takes_all_63_bytes_of_it______" values (1, 'x');

create table other.homes (id int primary key, name text unique, a int, b int, unique (a, b)); insert into other.homes values (1, 'h', 1, 2);
create table unseen.hidden (id int primary key); insert into unseen.hidden values (1);
create table refs (
  id int primary key,
  home_id int references other.homes, home int references other.homes, home_name text references other.homes (name),
  a int, b int, hidden int references unseen.hidden, self int references refs, hue unseen.hue, hues unseen.hue[],
  twice int references other.homes, moods mood[], flags flags, pairs pair[],
  foreign key (a, b) references other.homes (a, b), foreign key (twice) references refs (id)
);
insert into refs values (1, 1, 1, 'h', 1, 2, 1, 1, 'red', '{red,blue}', 1, '{"100%","a\"b",""}', '{1,2}', '{"(1,a)"}');
create table tree (a int, b text, up_a int, up_b text, note text, primary key (a, b), foreign key (up_a, up_b) references tree);
insert into tree values (1, 'x/y', null, null), (2, '', 1, 'x/y');
create table ones (a int, b text, note text, primary key (a, b), foreign key (a, b) references tree);
insert into ones values (1, 'x/y', 'n');
create table lefts (id int primary key, right_id int); create table rights (id int primary key, left_id int references lefts);
alter table lefts add foreign key (right_id) references rights deferrable initially deferred;
begin; insert into lefts values (1, 1); insert into rights values (1, 1); commit;
create table parent (id int primary key, note text); insert into parent values (1);
create table child (extra int) inherits (parent); alter table child add primary key (id); insert into child values (2, 'c', 3);
create unlogged table fast (id int primary key, note text); insert into fast values (1);
create table wide_default (id int primary key, v text default 'it''s 100% "q" \ {x}', n numeric default 1.5, d date default current_date, j jsonb default '{"a": "%s"}', arr int[] default '{1,2}', m mood default '100%');
insert into wide_default values (1);
create materialized view seen as select id, note from models; create unique index on seen (id);
create view joined as select m.id, a.note from models m join annotations a using (id);
create view only_view as select 1 as x, null::int as y;

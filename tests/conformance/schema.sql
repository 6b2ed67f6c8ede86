-- A small archive of films: one of each thing that PostgREST's language can name.
-- Schema "api" is what most tests are served; "library" and "Ödd ""name"" \@/" are for several schemas at once.

create schema api;
create schema library;
create schema "Ödd ""name"" \@/";
create schema hidden;
grant usage on schema hidden to anon, auth;
grant usage on schema api, library, "Ödd ""name"" \@/" to anon, auth;

set search_path = api;

-- ------------------------------------------------------------------ tables and their relationships

create table directors (
    id int primary key,
    name text not null,
    born date
);

create table films (
    id int primary key,
    title text not null unique,
    year int,
    rating numeric,
    seen boolean,
    director_id int constraint directed_by references directors,
    tags text[] not null default '{}',
    details jsonb not null default '{}',
    shown int4range,
    released timestamptz
);
comment on table films is 'What can be seen';

create table actors (
    id int primary key,
    name text not null
);

create table roles (  -- films and actors, many to many
    film_id int references films,
    actor_id int references actors,
    part text not null,
    primary key (film_id, actor_id)
);

create table awards (  -- one to many
    id int primary key,
    film_id int not null references films,
    name text not null,
    prize int not null
);

create table scripts (  -- one to one
    film_id int primary key references films,
    pages int not null,
    body text not null
);

create table letters (  -- two foreign keys to one table
    id int primary key,
    sender int not null constraint letters_sender references actors,
    recipient int not null constraint letters_recipient references actors,
    body text not null
);

create table staff (  -- to itself
    id int primary key,
    name text not null,
    boss int references staff
);

create table reviews (  -- full text
    id int primary key,
    film_id int references films,
    body text not null,
    doc jsonb not null,
    search tsvector generated always as (to_tsvector('english', body)) stored
);

create table screenings (
    id int not null,
    year int not null,
    film_id int references films,
    primary key (id, year)
) partition by range (year);
create table screenings_old partition of screenings for values from (1900) to (2000);
create table screenings_new partition of screenings for values from (2000) to (2100);

create table names (name text primary key);

create table "odd table" (
    "a,b" int primary key,
    "x.y" text,
    "::c" text,
    "(p)" text,
    "ключ" text,
    "a-b" text,
    d$llar text
);

create table "кадры" ("имя" text primary key);

create table secrets (id int primary key, secret text);
create table nothing (id int primary key, note text);

-- ------------------------------------------------------------------ views

create view recent_films as select id, title, year, director_id from films where year >= 1980;
create view film_makers as select id as maker_id, name as maker from directors;
create materialized view decades as
    select year / 10 * 10 as decade, count(*)::int as films from films group by 1;
create view numbers as select n from generate_series(1, 100000) n;

-- ------------------------------------------------------------------ composite types and representations

create type price as (currency text, value numeric);
create table tickets (id int primary key, price price not null, paid price[] not null default '{}');

create domain colour as int;
create function colour_shown(colour) returns json language sql immutable as
    $$ select case when $1 is null then null else to_json('#' || lpad(upper(to_hex($1::int)), 6, '0')) end $$;
create function colour_read(text) returns colour language sql immutable as
    $$ select ('x' || lpad(ltrim($1, '#'), 8, '0'))::bit(32)::int::colour $$;
create function colour_written(json) returns colour language sql immutable as
    $$ select colour_read($1 #>> '{}') $$;
set client_min_messages = error;  -- casts of domains are ignored by PostgreSQL, not by us
create cast (colour as json) with function colour_shown(colour) as implicit;
create cast (text as colour) with function colour_read(text) as implicit;
create cast (json as colour) with function colour_written(json) as implicit;
reset client_min_messages;
create table posters (id int primary key, film_id int references films, paint colour);

-- ------------------------------------------------------------------ computed

create function full_title(films) returns text language sql immutable as
    $$ select $1.title || ' (' || $1.year || ')' $$;
create function debut(directors) returns setof films rows 1 language sql stable as
    $$ select * from films where director_id = $1.id order by year limit 1 $$;
create function best_films(directors) returns setof films language sql stable as
    $$ select * from films where director_id = $1.id and rating > 8 order by id $$;

create table library.books (id int primary key, title text not null);
create function shelf(films) returns setof library.books language sql stable as
    $$ select * from library.books where id <= $1.id order by id $$;
create function posters_film_id_fkey(posters) returns setof films language sql stable as  -- as its constraint
    $$ select * from films where id = $1.film_id $$;

-- ------------------------------------------------------------------ functions

create function films_between(low int, high int) returns setof films language sql stable as
    $$ select * from films where year between low and high order by id $$;
create function one_film(id int) returns films language sql stable as
    $$ select * from films where films.id = one_film.id $$;
create function all_films() returns setof films language sql stable as $$ select * from films order by id $$;
create function ping() returns text language sql volatile as $$ select 'pong' $$;
create function add(a int, b int) returns int language sql immutable as $$ select a + b $$;
create function fail(code text, message text) returns void language plpgsql as
    $$ begin raise exception using errcode = code, message = message; end $$;

-- ------------------------------------------------------------------ the other schemas

create table library.authors (id int primary key, name text not null);
create table library.writings (
    book_id int references library.books, author_id int references library.authors,
    primary key (book_id, author_id)
);
create function library.titles() returns setof text language sql stable as
    $$ select title from library.books order by id $$;
create table "Ödd ""name"" \@/".things (id int primary key, name text);
create table hidden.films (id int primary key);
create table actors_met (id int primary key);
create table actors_missed (id int primary key);
create table hidden.meetings (
    met int references actors_met,
    missed int references actors_missed,
    primary key (met, missed)
);
create function hidden.outside(films) returns boolean language sql immutable as $$ select true $$;

-- ------------------------------------------------------------------ rows

insert into directors values
    (1, 'Agnès Varda', '1928-05-30'), (2, 'Akira Kurosawa', '1910-03-23'),
    (3, 'Jane Campion', '1954-04-30'), (4, 'Nobody Yet', null);
insert into films values
    (1, 'Cléo from 5 to 7', 1962, 7.8, true, 1, '{paris,time}', '{"length": 90, "crew": {"camera": "Rabier"}}',
        '[1962,1970)', '1962-04-11T20:00:00Z'),
    (2, 'Vagabond', 1985, 7.7, false, 1, '{road}', '{"length": 105, "langs": ["fr", "en"]}',
        '[1985,1990)', '1985-12-04T18:30:00Z'),
    (3, 'Ikiru', 1952, 8.3, true, 2, '{tokyo,time}', '{"length": 143, "crew": {"camera": "Nakai"}}',
        '[1952,1960)', '1952-10-09T09:00:00Z'),
    (4, 'Ran', 1985, 8.2, null, 2, '{}', '{"length": 162, "langs": ["ja"]}', '[1985,2000)', null),
    (5, 'The Piano', 1993, 7.5, true, 3, '{sea,music}', '{"length": 121}', '[1993,2001)', '1993-05-19T00:00:00Z'),
    (6, 'Unfinished', null, null, null, null, '{}', '{}', null, null);
insert into actors values
    (1, 'Corinne Marchand'), (2, 'Takashi Shimura'), (3, 'Holly Hunter'), (4, 'Anna Paquin'), (5, 'Nobody');
insert into roles values
    (1, 1, 'Cléo'), (3, 2, 'Kanji'), (5, 3, 'Ada'), (5, 4, 'Flora'), (2, 5, 'a voice'), (4, 2, 'a voice');
insert into awards values
    (1, 5, 'Palme d''Or', 100), (2, 5, 'Oscar', 300), (3, 2, 'Golden Lion', 200), (4, 3, 'Silver Bear', 50);
insert into scripts values (1, 90, 'Tarot cards.'), (5, 120, 'The voice you hear.');
insert into letters values (1, 3, 4, 'Play!'), (2, 4, 3, 'Dance!'), (3, 1, 2, 'Bonjour');
insert into staff values (1, 'Ada', null), (2, 'Bo', 1), (3, 'Cy', 1), (4, 'Di', 2);
insert into reviews (id, film_id, body, doc) values
    (1, 1, 'A fat cat walks through Paris', '{"text": "It is impossible to stay"}'),
    (2, 3, 'Swings are impossible to forget', '{"text": "The fat rats sing"}'),
    (3, 5, 'Une musique amusante', '{"text": "amusant et impossible"}');
insert into screenings values (1, 1962, 1), (2, 1985, 2), (3, 2001, 5);
insert into names values
    ('plain'), ('with, comma'), ('with (parens)'), ('with "quotes"'), ('back\slash'), ('per%cent'), ('a.dot'), ('');
insert into "odd table" values (1, 'dotted', 'cast', 'parens', 'значение', 'dash', 'dollar');
insert into "кадры" values ('первый');
insert into secrets values (1, 'nobody sees this');
insert into tickets values (1, '(EUR,9.5)', '{"(EUR,5)","(EUR,4.5)"}'), (2, '(JPY,1200)', '{}');
insert into posters values (1, 1, 255), (2, 3, 16711680), (3, 5, null);
insert into library.books values (1, 'Cinema 1'), (2, 'Cinema 2');
insert into library.authors values (1, 'Deleuze'), (2, 'Tomlinson');
insert into library.writings values (1, 1), (1, 2), (2, 1);
insert into "Ödd ""name"" \@/".things values (1, 'thing');
refresh materialized view decades;
analyze;

-- ------------------------------------------------------------------ who may what

grant select on all tables in schema api, library, "Ödd ""name"" \@/" to anon;
grant all on all tables in schema api, library, "Ödd ""name"" \@/" to auth;
revoke all on secrets from anon, auth;
revoke all on nothing from anon;

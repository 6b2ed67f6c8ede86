-- What the change feed has to know of the tables it may publish: one JSON value.
-- $1: exposed schemas, text[]. $2: further tables to publish (policies read them), text[] of names as regclass
-- reads them. To be run under search_path = '' so that every expression names its schema.
with recursive
exposed as (
    select c.oid, c.oid as root
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = any ($1::text[]) and c.relkind in ('r', 'p') and not c.relispartition
),
-- What a policy leads to: through functions with parsed bodies and views by their dependencies, through
-- functions with bodies of text by the names of tables and functions that the text mentions. "indirectly"
-- tells a look at the policy's own table from a mere mention of its columns.
reach (relid, classid, objid, indirectly) as (
    select polrelid, 'pg_policy'::regclass::oid, oid, false from pg_policy
    union
    select r.relid, d.refclassid, d.refobjid, r.classid <> 'pg_policy'::regclass
    from reach r
    join lateral (
        select d.refclassid, d.refobjid
        from pg_depend d
        where d.classid = r.classid and d.objid = r.objid and d.refobjid >= 16384
            and d.refclassid in ('pg_class'::regclass, 'pg_proc'::regclass)
            -- Before PostgreSQL 15 a table with generated columns depends on itself: no look at its rows.
            and (d.refclassid, d.refobjid) <> (r.classid, r.objid)
        union all
        select 'pg_rewrite'::regclass, w.oid
        from pg_rewrite w
        where r.classid = 'pg_class'::regclass and w.ev_class = r.objid
        union all
        select m.classid, m.oid
        from pg_proc p
        join lateral (
            select 'pg_class'::regclass::oid, c.oid, c.relname
            from pg_class c where c.relkind in ('r', 'p', 'v') and c.oid >= 16384
            union all
            select 'pg_proc'::regclass::oid, f.oid, f.proname
            from pg_proc f where f.oid >= 16384
        ) m (classid, oid, name) on pg_catalog.strpos(p.prosrc, m.name) > 0
        where r.classid = 'pg_proc'::regclass and p.oid = r.objid and p.prosqlbody is null
    ) d on true
),
policy_reads as (
    select distinct r.relid, r.objid as reads
    from reach r
    join pg_class c on c.oid = r.objid
    where r.classid = 'pg_class'::regclass and c.relkind in ('r', 'p')
        and (r.objid <> r.relid or r.indirectly)
),
-- Tables read by policies of exposed tables, by policies of those tables, and so on.
wanted (oid) as (
    select oid from exposed
    union
    select to_regclass(name)::oid from unnest($2::text[]) name where to_regclass(name) is not null
    union
    select p.reads from wanted w join policy_reads p on p.relid = w.oid
),
family as (
    select w.oid, w.oid as root from wanted w
    union
    select t.relid::oid, w.oid
    from wanted w
    join pg_class c on c.oid = w.oid and c.relkind = 'p'
    cross join lateral pg_partition_tree(w.oid) t
    where t.relid <> w.oid
),
keys as (
    select i.indrelid, i.indimmediate, i.indisvalid, i.indkey::int2[] as attnums
    from pg_index i
    where i.indisprimary
),
tables as (
    select c.oid, f.root, n.nspname, c.relname, c.relkind, c.relreplident, c.relrowsecurity,
        c.relpersistence, exists (select from exposed e where e.oid = f.root) as exposed,
        k.attnums, k.indimmediate,
        exists (
            select from pg_index i where i.indrelid = c.oid and i.indisreplident and i.indisvalid
        ) as identity_index,
        exists (
            select from pg_index i
            where i.indrelid = c.oid and i.indisreplident and k.attnums <@ i.indkey::int2[]
        ) as identity_has_key,
        exists (select from pg_attribute a where a.attrelid = c.oid and a.attgenerated = 'v') as virtual,
        exists (
            select from pg_attribute a
            where a.attrelid = c.oid and a.attgenerated <> '' and a.attnum = any (k.attnums)
        ) as generated_key
    from family f
    join pg_class c on c.oid = f.oid
    join pg_namespace n on n.oid = c.relnamespace
    left join keys k on k.indrelid = c.oid and k.indisvalid
),
judged as (
    select t.*,
        case
            when relpersistence <> 'p' then 'it is not permanent, so the WAL does not carry it'
            when attnums is null then 'it has no primary key'
            when generated_key and current_setting('server_version_num')::int < 180000 then
                'its primary key has a generated column, which PostgreSQL before 18 does not publish'
            when not indimmediate and relreplident = 'd' then
                'its primary key is deferrable, and publishing it would make its updates and deletes fail'
            when relreplident = 'n' then
                'its replica identity is nothing, and publishing it would make its updates and deletes fail'
            when relreplident = 'i' and not identity_index then
                'its replica identity index is gone, and publishing it would make its updates and deletes fail'
            when relreplident = 'i' and not identity_has_key then
                'its replica identity is an index without the primary key'
            when relreplident = 'f' and virtual then
                'its replica identity is full and it has virtual generated columns: publishing it would make '
                || 'its updates and deletes fail'
        end as obstacle
    from tables t
),
columns as (
    select a.attrelid, a.attnum, a.attname, a.atttypid, a.attgenerated, d.adbin
    from judged t
    join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum and a.attgenerated <> ''
),
types (relid, oid) as (
    select attrelid, atttypid from columns
    union
    select y.relid, x.oid
    from types y
    join pg_type t on t.oid = y.oid
    cross join lateral (
        select t.typbasetype where t.typbasetype <> 0
        union all
        select t.typelem where t.typcategory = 'A' and t.typelem <> 0
        union all
        select a.atttypid from pg_attribute a
        where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
    ) x (oid)
),
-- What else decides how rows look and who sees them, by the transactions that wrote it last: a rewritten column
-- of the same type, the labels and attributes of types, functions and views that policies lead to.
revisions (relid, place, written) as (
    select a.attrelid, 'c' || a.attnum, a.xmin
    from judged t
    join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
    union all
    select y.relid, 't' || t.oid, t.xmin from types y join pg_type t on t.oid = y.oid and t.oid >= 16384
    union all
    select y.relid, 'e' || e.oid, e.xmin from types y join pg_enum e on e.enumtypid = y.oid
    union all
    select y.relid, 'a' || t.oid || '.' || a.attnum, a.xmin
    from types y
    join pg_type t on t.oid = y.oid and t.typtype = 'c'
    join pg_attribute a on a.attrelid = t.typrelid and a.attnum > 0
    union all
    select r.relid, 'f' || p.oid, p.xmin
    from reach r
    join pg_proc p on r.classid = 'pg_proc'::regclass and p.oid = r.objid
    union all
    select r.relid, 'v' || w.oid, w.xmin
    from reach r
    join pg_rewrite w on r.classid = 'pg_rewrite'::regclass and w.oid = r.objid
),
revised (relid, revision) as (
    select relid, md5(string_agg(distinct place || ':' || written, ' ')) from revisions group by relid
)
select json_build_object(
    'tables', coalesce((
        select json_agg(json_build_object(
            'oid', t.oid::bigint, 'schema', t.nspname, 'name', t.relname, 'kind', t.relkind,
            'root', t.root::bigint, 'identity', t.relreplident, 'row_security', t.relrowsecurity,
            'exposed', t.exposed, 'obstacle', t.obstacle,
            'revision', (select r.revision from revised r where r.relid = t.oid),
            'key', coalesce((
                select json_agg(c.attname order by c.attnum)
                from columns c where c.attrelid = t.oid and c.attnum = any (t.attnums)
            ), '[]'),
            'columns', coalesce((
                select json_agg(json_build_object(
                    'name', c.attname, 'type_oid', c.atttypid::bigint, 'generated', c.attgenerated,
                    'type', format_type(c.atttypid, null),
                    'expression', pg_get_expr(c.adbin, c.attrelid)
                ) order by c.attnum)
                from columns c where c.attrelid = t.oid
            ), '[]'),
            'policies', coalesce((
                select json_agg(json_build_object(
                    'name', p.polname, 'permissive', p.polpermissive, 'roles', p.polroles::bigint[],
                    'using', pg_get_expr(p.polqual, p.polrelid)
                ) order by p.polname)
                from pg_policy p where p.polrelid = t.oid and p.polcmd in ('r', '*')
            ), '[]'),
            'depends', coalesce((
                select json_agg(p.reads::bigint order by p.reads)
                from policy_reads p where p.relid = t.oid and p.reads <> t.oid
            ), '[]'),
            'looks_itself_up', exists (
                select from policy_reads p where p.relid = t.oid and p.reads = t.oid
            )
        ) order by t.oid) from judged t
    ), '[]'),
    'types', coalesce((
        select json_agg(json_build_object(
            'oid', t.oid::bigint, 'name', t.typname, 'base', t.typbasetype::bigint,
            'element', case when t.typcategory = 'A' and t.typlen = -1 then t.typelem::bigint else 0 end,
            'delimiter', coalesce(e.typdelim, ','),
            'json_cast', t.oid >= 16384 and exists (
                select from pg_cast k
                where k.castsource = t.oid and k.casttarget = 'json'::regtype and k.castmethod = 'f'
            ),
            'fields', coalesce((
                select json_agg(json_build_array(a.attname, a.atttypid::bigint) order by a.attnum)
                from pg_attribute a
                where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
            ), '[]')
        )) from (select distinct oid from types) y join pg_type t on t.oid = y.oid left join pg_type e on e.oid = t.typelem
    ), '[]')
)::text

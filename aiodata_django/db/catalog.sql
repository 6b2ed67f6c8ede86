-- What the schema is built from, a section a query, each answering one JSON array.
-- search_path is empty while they run, so that format_type, regproc and pg_get_expr qualify every name.
-- $1 is what the section's heading says, text[]: the exposed schemas, or the reachable ones (those and the
-- extra search path); none where it says nothing.
-- Works on PostgreSQL 14 and later. Facts: https://www.postgresql.org/docs/current/catalogs.html

-- section: version
select json_build_array(current_setting('server_version_num')::int);

-- section: relations of exposed
select coalesce(json_agg(r), '[]') from (
  select
    c.oid::int8 as oid,
    n.nspname as schema,
    c.relname as name,
    c.relkind as kind,
    c.relispartition as is_partition,
    c.relreplident as replica_identity,
    c.relrowsecurity as row_security,
    obj_description(c.oid, 'pg_class') as description,
    -- bits are 1 << CmdType: 4 update, 8 insert, 16 delete; INSTEAD OF triggers count
    case
      when c.relkind in ('r', 'p') then 28
      when c.relkind = 'm' or not n.nspname = any ($1) then 0
      else pg_relation_is_updatable(c.oid, true)
    end as events
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v', 'm', 'f')
    and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
  order by n.nspname, c.relname
) r;

-- section: columns of exposed
select coalesce(json_agg(a), '[]') from (
  select
    a.attrelid::int8 as relation,
    a.attnum as position,
    a.attname as name,
    a.atttypid::int8 as type_oid,
    format_type(a.atttypid, null) as type,
    format_type(a.atttypid, a.atttypmod) as nominal_type,
    a.atttypmod as modifier,
    t.typname as typname,
    tn.nspname as type_schema,
    t.typtype as type_kind,
    t.typcategory as category,
    a.attndims as dims,
    a.attnotnull as not_null,
    a.attidentity as identity,
    a.attgenerated as generated,
    case when a.attgenerated = '' then pg_get_expr(ad.adbin, ad.adrelid) end as default,
    case when a.attidentity <> '' then (
      select s.oid::regclass::text
      from pg_depend o join pg_class s on s.oid = o.objid and s.relkind = 'S'
      where o.classid = 'pg_class'::regclass and o.refclassid = 'pg_class'::regclass
        and o.refobjid = a.attrelid and o.refobjsubid = a.attnum and o.deptype = 'i'
    ) end as sequence,
    d.description as description
  from pg_attribute a
  join pg_class c on c.oid = a.attrelid
  join pg_namespace n on n.oid = c.relnamespace
  join pg_type t on t.oid = a.atttypid
  join pg_namespace tn on tn.oid = t.typnamespace
  left join pg_attrdef ad on ad.adrelid = a.attrelid and ad.adnum = a.attnum
  left join pg_description d
    on d.objoid = a.attrelid and d.classoid = 'pg_class'::regclass and d.objsubid = a.attnum
  where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
    and n.nspname = any ($1) and a.attnum > 0 and not a.attisdropped
  order by a.attrelid, a.attnum
) a;

-- section: constraints
select coalesce(json_agg(k), '[]') from (
  select
    k.oid::int8 as oid,
    k.conname as name,
    k.contype as kind,
    k.conrelid::int8 as relation,
    k.conkey as columns,
    k.confrelid::int8 as foreign,
    k.confkey as foreign_columns,
    (
      select array_agg(a.attname order by u.ord)
      from unnest(k.conkey) with ordinality u (position, ord)
      join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.position
    ) as names,
    (
      select array_agg(a.attname order by u.ord)
      from unnest(k.confkey) with ordinality u (position, ord)
      join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.position
    ) as foreign_names,
    k.confdeltype as on_delete,
    k.confupdtype as on_update,
    k.condeferrable as deferrable
  from pg_constraint k
  join pg_namespace n on n.oid = k.connamespace
  where k.contype in ('p', 'u', 'f')
    and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
    -- what partitions inherit, and what references to partitioned tables are made of, says nothing new
    and (k.contype <> 'f' or k.conparentid = 0)
  order by k.oid
) k;

-- section: views of reachable
select coalesce(json_agg(v), '[]') from (
  select r.ev_class::int8 as relation, r.ev_action::text as action
  from pg_rewrite r
  join pg_class c on c.oid = r.ev_class
  join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('v', 'm') and r.rulename = '_RETURN' and n.nspname = any ($1)
  order by r.ev_class
) v;

-- section: domains
select coalesce(json_agg(d), '[]') from (
  select
    t.oid::int8 as oid,
    t.typbasetype::int8 as base,
    format_type(t.typbasetype, null) as base_type,
    t.typtypmod as modifier,
    t.typnotnull as not_null,
    pg_get_expr(t.typdefaultbin, 0) as default
  from pg_type t
  where t.typtype = 'd'
  order by t.oid
) d;

-- section: enums
select coalesce(json_agg(e), '[]') from (
  select
    t.oid::int8 as type,
    t.typarray::int8 as array,
    array_agg(l.enumlabel order by l.enumsortorder) as labels
  from pg_enum l
  join pg_type t on t.oid = l.enumtypid
  group by t.oid
  order by t.oid
) e;

-- section: routines of exposed
select coalesce(json_agg(f), '[]') from (
  with recursive bases (oid, base) as (
    select p.prorettype, p.prorettype
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = any ($1)
    union
    select b.oid, t.typbasetype
    from bases b join pg_type t on t.oid = b.base
    where t.typtype = 'd'
  )
  select
    p.oid::int8 as oid,
    n.nspname as schema,
    p.proname as name,
    obj_description(p.oid, 'pg_proc') as description,
    -- modes and all_types are null when all parameters are plain inputs
    p.proargnames as names,
    p.proargmodes as modes,
    (
      select json_agg(json_build_array(a.type::regtype::text, format_type(a.type, -1)) order by a.ord)
      from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) with ordinality a (type, ord)
    ) as types,
    p.pronargs as inputs,
    p.pronargdefaults as defaults,
    p.provariadic <> 0 as variadic,
    p.proretset as is_set,
    p.provolatile as volatility,
    p.proconfig as settings,
    tn.nspname as type_schema,
    coalesce(tc.relname, t.typname) as type_name,
    t.typtype = 'c' as is_row,
    p.prorettype <> t.oid as is_domain
  from pg_proc p
  join pg_namespace n on n.oid = p.pronamespace
  join bases b on b.oid = p.prorettype
  join pg_type t on t.oid = b.base and t.typtype <> 'd'
  join pg_namespace tn on tn.oid = t.typnamespace
  left join pg_class tc on tc.oid = t.typrelid
  where n.nspname = any ($1) and p.prokind = 'f' and p.prorettype <> 'trigger'::regtype
  order by n.nspname, p.proname, p.oid
) f;

-- section: computed of exposed
select coalesce(json_agg(f), '[]') from (
  select
    n.nspname as schema,
    p.proname as name,
    argument.oid::int8 as relation,
    result.oid::int8 as foreign,
    not p.proretset or p.prorows = 1 as to_one
  from pg_proc p
  join pg_namespace n on n.oid = p.pronamespace
  join pg_class argument on argument.reltype = p.proargtypes[0]
  join pg_class result on result.reltype = p.prorettype
  where p.pronargs = 1 and n.nspname = any ($1)
    and argument.relkind in ('r', 'p', 'v', 'm', 'f') and result.relkind in ('r', 'p', 'v', 'm', 'f')
  order by n.nspname, p.proname, p.oid
) f;

-- section: representations
select coalesce(json_agg(r), '[]') from (
  select
    k.castsource::regtype::text as source,
    k.casttarget::regtype::text as target,
    n.nspname as schema,
    p.proname as name
  from pg_cast k
  join pg_type source on source.oid = k.castsource
  join pg_type target on target.oid = k.casttarget
  join pg_proc p on p.oid = k.castfunc
  join pg_namespace n on n.oid = p.pronamespace
  where k.castcontext = 'i' and k.castmethod = 'f' and has_function_privilege(p.oid, 'execute')
    and (
      source.typtype = 'd' and target.oid in ('json'::regtype, 'text'::regtype)
      or target.typtype = 'd' and source.oid in ('json'::regtype, 'text'::regtype)
    )
  order by 1, 2
) r;

-- section: media of exposed
select coalesce(json_agg(m), '[]') from (
  select
    lower(d.typname) as media_type,
    dn.nspname as domain_schema,
    d.typname as domain_name,
    d.typbasetype = 'bytea'::regtype as is_bytes,
    d.typbasetype = 'jsonb'::regtype as is_jsonb,
    n.nspname as schema,
    p.proname as name,
    p.prokind as kind,
    argument_class.oid::int8 as relation,
    argument.typname as argument
  from pg_type d
  join pg_namespace dn on dn.oid = d.typnamespace
  join pg_proc p on p.prorettype = d.oid
  join pg_namespace n on n.oid = p.pronamespace
  left join pg_type argument on p.prokind = 'a' and p.pronargs = 1 and argument.oid = p.proargtypes[0]
  left join pg_class argument_class
    on argument_class.oid = argument.typrelid and argument_class.relkind in ('r', 'p', 'v', 'm', 'f')
  where d.typtype = 'd'
    and (d.typname ~* '^[a-z0-9.-]+/[a-z0-9.+-]+$' or d.typname = '*/*')
    and n.nspname = any ($1)
    and (
      p.prokind = 'a' and (argument_class.oid is not null or argument.typname = 'anyelement')
      or p.prokind = 'f' and not p.proretset
    )
  order by 1, n.nspname, p.proname, p.oid
) m;

-- section: schemas of exposed
select coalesce(json_agg(s), '[]') from (
  select n.nspname as name, obj_description(n.oid, 'pg_namespace') as description
  from pg_namespace n
  where n.nspname = any ($1)
) s;

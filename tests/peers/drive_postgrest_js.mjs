// The published @supabase/postgrest-js, unmodified, against a server: node drive_postgrest_js.mjs MODULES URL TOKEN
// MODULES is the node_modules folder it is installed in.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";

const [modules, url, token] = process.argv.slice(2);
const { PostgrestClient } = createRequire(join(modules, "x.js"))("@supabase/postgrest-js");

const headers = { Authorization: `Bearer ${token}` };
const PETS = [
  { type: "Dog", breed: "Akita", name: "Luna", color: 1 },
  { type: "Dog", breed: "Shiba Inu", name: "Munch, the 2nd (M)", color: 2 },
];

async function ok(request) {
  const answer = await request;
  assert.equal(answer.error, null, JSON.stringify(answer));
  return answer;
}

for (const mount of ["rest", "query"]) {
  const client = new PostgrestClient(`${url}/${mount}`, { headers, schema: "api" });
  const pets = () => client.from("pets");

  const made = await ok(pets().insert(PETS).select());
  assert.equal(made.status, 201);
  assert.deepEqual(made.data.map((row) => row.name), PETS.map((row) => row.name));

  const page = await ok(
    pets().select("name, color", { count: "exact" }).eq("type", "Dog").order("color", { ascending: false }).range(0, 0),
  );
  assert.equal(page.count, 2);
  assert.deepEqual(page.data, [{ name: PETS[1].name, color: 2 }]);

  const one = await ok(pets().select("color").in("name", [PETS[1].name]).single());
  assert.equal(one.data.color, 2);
  const none = await ok(pets().select("color").eq("name", "nobody").maybeSingle());
  assert.equal(none.data, null);
  const both = await ok(pets().select("name").or("color.eq.1,and(color.gt.1,type.eq.Dog)").eq("type", "Dog"));
  assert.equal(both.data.length, 2);

  const merged = await ok(pets().upsert({ ...PETS[0], color: 9 }).select());
  assert.equal(merged.data[0].color, 9);
  const changed = await ok(pets().update({ groomed: true }).eq("type", "Dog").select("name,groomed"));
  assert.deepEqual(changed.data.map((row) => row.groomed), [true, true]);

  const head = await ok(pets().select("*", { head: true, count: "exact" }).eq("type", "Dog"));
  assert.equal(head.count, 2);
  const csv = await ok(pets().select("name").eq("name", "Luna").csv());
  assert.equal(csv.data, "name\nLuna");

  const painted = await ok(client.rpc("paint", { type: "Dog", color: 5 }));
  assert.deepEqual(painted.data.map((row) => row.color), [5, 5]);
  const embedded = await ok(client.from("owners").select("name, keepings(name, pets(color))").eq("name", "Ben"));
  assert.equal(embedded.data[0].keepings[0].name, "Melekush");

  const twice = await pets().insert(PETS[0]);
  assert.equal(twice.status, 409);
  assert.equal(twice.error.code, "23505");
  const missing = await client.from("petz").select();
  assert.equal(missing.error.code, "PGRST205");

  const gone = await ok(pets().delete({ count: "exact" }).eq("type", "Dog"));
  assert.equal(gone.count, 2);
}

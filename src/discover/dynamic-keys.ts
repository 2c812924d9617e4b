/**
 * Dynamic keys: documents used as maps, with ids, dates or addresses for keys. They are collapsed into one field, which
 * holds the values of all of them; docs/discover.md has the rules.
 */

import { addExample, Field, namelessField, ObjectFields } from "./field.ts";

/** At least this many keys that look like ids are dynamic. */
const MIN_ID_KEYS = 16;
/** At least this many rare keys are dynamic. */
const MIN_RARE_KEYS = 64;
/** A key is rare in fewer than this share of the objects, if it is also in at most two of them or one in a hundred. */
const RARE_SHARE = 0.1;
const MAX_RARE_OBJECTS = 2;
const MAX_RARE_SHARE = 0.01;
/** An object with at least this many dynamic keys is a map. */
const MIN_MAP_KEYS = 512;

/** ObjectIds, UUIDs, other long hex, long numbers, days and months, mail addresses. */
const ID_KEY =
  /^(?:[0-9a-f]{16,}|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|\d{6,}|\d{4}-\d{2}(?:-\d{2}.*)?|[^@\s]+@[^@\s]+)$/i;
const NUMBER_KEY = /^\d+$/;

/** Collapses the dynamic keys of `object` and of all objects inside it. Idempotent. */
export function collapseAll(object: ObjectFields): void {
  collapse(object);
  for (const field of object.list) collapseInside(field);
  if (object.dynamic !== undefined) collapseInside(object.dynamic);
}

function collapseInside(field: Field): void {
  if (field.object !== undefined) collapseAll(field.object);
  if (field.items !== undefined) collapseInside(field.items);
}

/** Whether enough objects came since the last collapse: it checks every key, too slow to repeat for each new one. */
export function isWorthCollapsing({ objects, objectsAtCollapse }: ObjectFields): boolean {
  return objects >= objectsAtCollapse * 2;
}

/** Collapses the dynamic keys of `object`. */
export function collapse(object: ObjectFields): void {
  const found = dynamicKeys(object);
  object.objectsAtCollapse = object.objects;
  if (found.size === 0) return;
  object.isMap ||= found.size >= MIN_MAP_KEYS;
  object.dynamic ??= namelessField();
  for (const field of found) {
    object.fields.delete(field.name);
    object.dynamicKeys.add(field.nameBytes);
    merge(object.dynamic, field);
  }
  object.list = [...object.fields.values()];
}

function dynamicKeys({ objects, list, dynamic }: ObjectFields): ReadonlySet<Field> {
  const ids = list.filter((field) => isId(field, objects));
  const rare = list.filter((field) => isRare(field, objects));
  // If the object has dynamic keys already, one more need not be one of many.
  const isKnown = dynamic !== undefined;
  return new Set([
    ...(isKnown || ids.length >= MIN_ID_KEYS ? ids : []),
    ...(isKnown || rare.length >= MIN_RARE_KEYS ? rare : []),
  ]);
}

/** Short numbers are ids unless at least half of the objects have them, as the columns of a table. */
function isId({ name, presentIn }: Field, objects: number): boolean {
  return ID_KEY.test(name) || (NUMBER_KEY.test(name) && presentIn < objects / 2);
}

function isRare({ presentIn }: Field, objects: number): boolean {
  return presentIn < objects * RARE_SHARE && presentIn <= Math.max(MAX_RARE_OBJECTS, objects * MAX_RARE_SHARE);
}

/** Adds the counts of `from` to `into`. */
function merge(into: Field, from: Field): void {
  into.seen.add(from.seen);
  for (const [type, tally] of from.types) into.tallyOf(type).add(tally);
  into.traits |= from.traits;
  into.isTruncated ||= from.isTruncated;
  into.presentIn = Math.max(into.presentIn, from.presentIn);
  for (const example of from.examples) addExample(into, example);
  if (from.items !== undefined) merge((into.items ??= namelessField()), from.items);
  if (from.object !== undefined) mergeObjects((into.object ??= new ObjectFields()), from.object);
}

function mergeObjects(into: ObjectFields, from: ObjectFields): void {
  into.objects += from.objects;
  into.isMap ||= from.isMap;
  into.isTruncated ||= from.isTruncated;
  for (const field of from.list) {
    let own = into.fields.get(field.name);
    if (own === undefined) into.add((own = new Field(field.name, field.nameBytes)));
    const before = own.presentIn;
    merge(own, field);
    // Objects at different paths are distinct, so presence adds up.
    own.presentIn = before + field.presentIn;
  }
  if (from.dynamic === undefined) return;
  into.dynamicKeys.addAll(from.dynamicKeys);
  merge((into.dynamic ??= namelessField()), from.dynamic);
}

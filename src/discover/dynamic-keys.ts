/**
 * Documents used as maps: keys that are ids, dates or addresses instead of names of fields. Kept apart they would be as
 * many fields as there are users; so they become one, whose values are seen together.
 */

import { addExample, Field, namelessField, ObjectFields } from "./field.ts";

/** So many keys that look like ids are no coincidence. */
const MANY_IDS = 16;
/** So many keys that hardly any document has are no fields. */
const MANY_RARE = 64;
/** Below this share of the objects a key may be rare … */
const RARE_SHARE = 0.1;
/** … if it is also in no more than two of them, or in one of a hundred. */
const RARE_COUNT = 2;
const VERY_RARE_SHARE = 0.01;
/** An object that had so many of them at once is a map. */
const MANY_FOUND = 512;

/** ObjectIds, UUIDs, other long hex, long numbers, days and months, mail addresses. */
const ID =
  /^(?:[0-9a-f]{16,}|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|\d{6,}|\d{4}-\d{2}(?:-\d{2}.*)?|[^@\s]+@[^@\s]+)$/i;
const NUMBER = /^\d+$/;

/** Puts the dynamic keys of `object`, and of all objects inside it, together. Safe to repeat. */
export function collapseAll(object: ObjectFields): void {
  collapse(object);
  for (const field of object.order) collapseInside(field);
  if (object.others !== undefined) collapseInside(object.others);
}

function collapseInside(field: Field): void {
  if (field.object !== undefined) collapseAll(field.object);
  if (field.items !== undefined) collapseInside(field.items);
}

/** Whether a search might find more than the last one: it looks at every key, which is too slow to do for every key. */
export function isWorthCollapsing({ objects, objectsAtSearch }: ObjectFields): boolean {
  return objects >= objectsAtSearch * 2;
}

/** Puts the dynamic keys of `object` itself together. */
export function collapse(object: ObjectFields): void {
  const dynamic = dynamicKeys(object);
  object.objectsAtSearch = object.objects;
  if (dynamic.size === 0) return;
  object.isMap ||= dynamic.size >= MANY_FOUND;
  object.others ??= namelessField();
  for (const field of dynamic) {
    object.fields.delete(field.name);
    object.otherKeys.add(field.nameBytes);
    merge(object.others, field);
  }
  object.order = [...object.fields.values()];
}

function dynamicKeys({ objects, order, others }: ObjectFields): ReadonlySet<Field> {
  const ids = order.filter((field) => isId(field, objects));
  const rare = order.filter((field) => isRare(field, objects));
  // Where others are dynamic already, those that were seen first are no better.
  const isMap = others !== undefined;
  return new Set([...(isMap || ids.length >= MANY_IDS ? ids : []), ...(isMap || rare.length >= MANY_RARE ? rare : [])]);
}

/** Short numbers are ids unless most objects have them: then they are the columns of a table. */
function isId({ name, presentIn }: Field, objects: number): boolean {
  return ID.test(name) || (NUMBER.test(name) && presentIn < objects / 2);
}

function isRare({ presentIn }: Field, objects: number): boolean {
  return presentIn < objects * RARE_SHARE && presentIn <= Math.max(RARE_COUNT, objects * VERY_RARE_SHARE);
}

/** Adds all that is known of `from` to `into`. */
function merge(into: Field, from: Field): void {
  into.seen.add(from.seen);
  for (const [type, tally] of from.types) into.tallyOf(type).add(tally);
  into.traits |= from.traits;
  into.isCut ||= from.isCut;
  into.presentIn = Math.max(into.presentIn, from.presentIn);
  for (const example of from.examples) addExample(into, example);
  if (from.items !== undefined) merge((into.items ??= namelessField()), from.items);
  if (from.object !== undefined) mergeObjects((into.object ??= new ObjectFields()), from.object);
}

function mergeObjects(into: ObjectFields, from: ObjectFields): void {
  into.objects += from.objects;
  into.isMap ||= from.isMap;
  into.isCut ||= from.isCut;
  for (const field of from.order) {
    let own = into.fields.get(field.name);
    if (own === undefined) into.add((own = new Field(field.name, field.nameBytes)));
    const before = own.presentIn;
    merge(own, field);
    // Objects at different paths are different objects.
    own.presentIn = before + field.presentIn;
  }
  if (from.others === undefined) return;
  into.otherKeys.addAll(from.otherKeys);
  merge((into.others ??= namelessField()), from.others);
}

// A schema as a list of fields, for people.

/** `{path, type, about, optional}` of each field below `schema`, in its order. */
export function fields(schema, document, path = '', optional = false) {
  const it = resolve(schema, document);
  const own = path === '' ? [] : [{ path, type: type(it, document), about: it.description ?? '', optional }];
  if (it.type === 'array') return [...own, ...fields(it.items, document, `${path}[]`).slice(1)];
  const alternative = it.anyOf?.find((one) => one.type !== 'null');
  if (alternative) {
    const [first, ...rest] = fields(alternative, document, path, optional);
    return [{ ...first, type: `${first.type} or null` }, ...rest];
  }
  const needed = it.required ?? [];
  const below = Object.entries(it.properties ?? {}).flatMap(([name, one]) =>
    fields(one, document, path === '' ? name : `${path}.${name}`, !needed.includes(name)));
  if (own.length === 0 && below.length === 0 && it.type) return [{ path: '(all of it)', type: type(it, document), about: it.description ?? '', optional: false }];
  return [...own, ...below];
}

function type(schema, document) {
  if (Object.hasOwn(schema, 'const')) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(' or ');
  if (schema.type === 'array') return `list of ${type(resolve(schema.items, document), document)}`;
  const types = [schema.type ?? ''].flat();
  const own = schema.format ?? types.find((one) => one !== 'null');
  return types.includes('null') ? `${own} or null` : own;
}

/** What a reference leads to. */
export function resolve(schema, document) {
  let it = schema;
  while (it.$ref) it = it.$ref.slice(2).split('/').reduce((place, name) => place[name], document);
  return it;
}

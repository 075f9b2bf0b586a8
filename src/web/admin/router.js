// The URL's hash: a view, a key, and a query with what was chosen in the view, as in `#/players/12?kind=admin`.

/** The parts of the hash. An empty hash is the overview. */
export function currentRoute() {
  const [path, query] = location.hash.replace(/^#\/?/, '').split('?');
  const [name, key, ...rest] = (path || 'overview').split('/').map(decoded);
  return { name, key, rest, query: new URLSearchParams(query) };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Writes values to the query and stays in the view. Empty values are removed. A reload or a shared link opens the same state. */
export function setQuery(values) {
  const [path, text] = location.hash.split('?');
  const query = new URLSearchParams(text);
  for (const [name, value] of Object.entries(values)) {
    if (value) query.set(name, value);
    else query.delete(name);
  }
  const rest = query.toString();
  history.replaceState(null, '', `${path || '#/overview'}${rest ? `?${rest}` : ''}`);
}
